from __future__ import annotations

import json

import pytest

from kit.bundle.normalise_config import CREATED, normalised_config
from kit.errors import VerificationError

CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-05-01T12:30:00.123Z",
    "container": "2f1d",
    "container_config": {"Hostname": "2f1d"},
    "docker_version": "20.10.24",
    "moby.buildkit.cache.v0": "x",
    "config": {"Hostname": "2f1d", "Image": "sha256:parent", "Env": ["A=1"], "User": "", "Cmd": ["/bin/sh"]},
    "history": [{"created": "2026-05-01T12:29:00Z", "created_by": "COPY a /a"}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:old"]},
}


def test_dates_and_the_build_host_go_and_the_rest_stays() -> None:
    found = json.loads(normalised_config(json.dumps(CONFIG).encode(), ["sha256:new"]))
    assert found == {
        "architecture": "amd64",
        "os": "linux",
        "created": CREATED,
        "config": {"Env": ["A=1"], "User": "", "Cmd": ["/bin/sh"]},
        "history": [{"created": CREATED, "created_by": "COPY a /a"}],
        "rootfs": {"type": "layers", "diff_ids": ["sha256:new"]},
    }


def test_doing_it_twice_changes_nothing_more() -> None:
    once = normalised_config(json.dumps(CONFIG).encode(), ["sha256:new"])
    assert normalised_config(once, ["sha256:new"]) == once


@pytest.mark.parametrize("config", [b"", b"[]", b'{"history":3}', b'{"history":["x"]}', b"[" * 100_000])
def test_bytes_that_are_no_config_are_refused(config: bytes) -> None:
    with pytest.raises(VerificationError):
        normalised_config(config, [])
