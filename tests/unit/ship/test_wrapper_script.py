from __future__ import annotations

from kit.ship.wrapper_script import wrapper_script


def test_the_wrapper_runs_kits_image_as_whoever_calls_it() -> None:
    script = wrapper_script("/aisys/kit", "kit.invalid/kit:0123456789ab", "/var/run/docker.sock").decode()
    assert script.startswith("#!/bin/sh\n")
    for part in (
        "--pull never",
        "kit.invalid/kit:0123456789ab",
        "root=/aisys/kit\n",
        "-v /:/host -e KIT_HOST_ROOT=/host",
    ):
        assert part in script


def test_odd_names_stay_one_word() -> None:
    script = wrapper_script("/data/o'hara/kit", "kit.invalid/kit:0", "/run/my docker.sock").decode()
    assert "socket='/run/my docker.sock'" in script
    assert "root='/data/o'\"'\"'hara/kit'" in script
