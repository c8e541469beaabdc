from __future__ import annotations

from typing import Any

import pytest

from kit.errors import UnfitError, UnreachableError
from kit.host.checks import (
    Finding,
    NeededImage,
    Needs,
    PeerRoute,
    check,
    check_together,
    require_fit,
)
from tests.unit.host.factories import gpu, host_facts, host_spec

JOBS = Needs(runs_jobs=True, cuda="12.6")


def finding(code: str, needs: Needs = JOBS, spec: dict[str, Any] | None = None, **facts: Any) -> Finding:
    found = [
        item for item in check(host_facts(**facts), host_spec(**(spec or {})), needs) if item.code == code
    ]
    assert len(found) == 1, found
    return found[0]


def test_a_fit_host_has_no_complaint() -> None:
    needs = Needs(
        runs_jobs=True,
        cuda="12.6",
        disk_bytes=1 << 30,
        ports=((29500, "training"),),
        images=(NeededImage("train", "kit.invalid/train:1", frozenset({"sha256:1"})),),
        trains_with_others=True,
        routes=(PeerRoute("gpu2", "eth0"),),
    )
    facts = host_facts(images=(("kit.invalid/train:1", "sha256:1"),))
    found = check(facts, host_spec(gpus=2, nic="eth0"), needs)
    assert {item.level for item in found} == {"ok"}
    assert all(not item.fix for item in found)
    assert len({item.code for item in found}) >= 12
    require_fit(found)


@pytest.mark.parametrize(
    ("why", "fix"),
    [
        ("Got permission denied while trying to connect", "usermod -aG docker ops"),
        ("Got permission denied while trying to connect", "ops ALL=(root) NOPASSWD: /usr/bin/docker"),
        ("docker: command not found", "install Docker"),
        ("Cannot connect to the Docker daemon. Is the docker daemon running?", "systemctl start docker"),
    ],
)
def test_an_engine_that_does_not_answer_is_named_with_its_mending(why: str, fix: str) -> None:
    found = finding("engine", engine_version=None, engine_error=why)
    assert found.level == "fail"
    assert why in found.text
    assert fix in found.fix


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("19.03.15", "fail"),
        ("20.10.0", "ok"),
        ("20.10.24+dfsg1", "ok"),
        ("28.5.2", "ok"),
        ("nonsense", "fail"),
    ],
)
def test_engines_older_than_20_10_fail(version: str, level: str) -> None:
    assert finding("engine-version", engine_version=version).level == level


@pytest.mark.parametrize(("version", "level"), [("24.0.7", "fail"), ("28.5.2", "ok")])
def test_the_containerd_store_is_taken_from_engine_25_on(version: str, level: str) -> None:
    assert finding("image-store", containerd_store=True, engine_version=version).level == level


@pytest.mark.parametrize(
    ("compose", "version", "level"),
    [
        ((), None, "fail"),
        (("docker-compose",), "1.25.0", "fail"),
        (("docker-compose",), "1.29.2", "ok"),
        (("docker", "compose"), "2.26.1", "ok"),
    ],
)
def test_compose_must_be_there_and_new_enough(
    compose: tuple[str, ...], version: str | None, level: str
) -> None:
    assert finding("compose", compose=compose, compose_version=version).level == level


def test_without_jobs_neither_compose_nor_gpus_matter() -> None:
    found = check(host_facts(compose=(), gpus=()), host_spec(gpus=4), Needs())
    assert {item.level for item in found} == {"ok"}


def test_another_architecture_fails() -> None:
    assert finding("architecture", architecture="aarch64").level == "fail"


def test_a_folder_that_cannot_be_written_fails() -> None:
    found = finding("root", root_writable=False)
    assert found.level == "fail"
    assert "install -d -m 700 -o ops /aisys/kit" in found.fix


def test_room_is_one_when_the_engine_shares_the_disk() -> None:
    needs = Needs(disk_bytes=60, engine_bytes=60)
    assert finding("disk", needs, free_bytes=100, engine_free_bytes=100).level == "fail"
    found = check(
        host_facts(free_bytes=100, engine_free_bytes=100, engine_on_root_disk=False), host_spec(), needs
    )
    assert [item.level for item in found if item.code in ("disk", "engine-disk")] == ["ok", "ok"]


def test_a_full_engine_disk_fails_on_its_own() -> None:
    needs = Needs(engine_bytes=60)
    assert finding("engine-disk", needs, engine_free_bytes=50, engine_on_root_disk=False).level == "fail"


def test_little_memory_is_a_warning() -> None:
    assert finding("memory", Needs(memory_bytes=300 << 30)).level == "warn"


def test_little_shared_memory_is_a_warning() -> None:
    assert finding("shm", shm_bytes=64 << 20).level == "warn"


@pytest.mark.parametrize(
    ("wanted", "level"),
    [(2, "ok"), (3, "fail"), ("0,1", "ok"), ("1,5", "fail"), ("GPU-0000", "ok"), ("GPU-00ff", "fail")],
)
def test_gpus_are_counted_or_looked_up(wanted: int | str, level: str) -> None:
    assert finding("gpus", spec={"gpus": wanted}, gpus=(gpu(0), gpu(1))).level == level


@pytest.mark.parametrize(
    ("version", "level"), [(None, "fail"), ("470.57", "fail"), ("525.60.13", "ok"), ("?", "fail")]
)
def test_cuda_needs_driver_525(version: str | None, level: str) -> None:
    assert finding("driver", spec={"gpus": 1}, driver_version=version).level == level


def test_the_nvidia_runtime_must_be_known_to_the_engine() -> None:
    assert finding("nvidia-runtime", spec={"gpus": 1}, nvidia_runtime=False).level == "fail"


def test_a_taken_port_is_a_warning() -> None:
    assert finding("port", Needs(ports=((8000, "serve"),)), listening=(22, 8000)).level == "warn"


@pytest.mark.parametrize(("found", "level"), [("sha256:1", "ok"), ("sha256:2", "fail"), (None, "fail")])
@pytest.mark.parametrize(("name", "code"), [("train", "image"), ("kit", "kit-image")])
def test_an_image_must_be_there_and_the_right_one(
    name: str, code: str, found: str | None, level: str
) -> None:
    tag = f"kit.invalid/{name}:1"
    needs = Needs(images=(NeededImage(name, tag, frozenset({"sha256:1"})),))
    assert finding(code, needs, images=((tag, found),) if found else ()).level == level


def test_a_name_that_resolves_to_loopback_is_a_warning_for_training_only() -> None:
    assert finding("own-name", Needs(trains_with_others=True), resolves_to_loopback=True).level == "warn"
    assert not [
        item
        for item in check(host_facts(resolves_to_loopback=True), host_spec(), JOBS)
        if item.code == "own-name"
    ]


def test_a_peer_without_a_route_fails() -> None:
    assert finding("route", Needs(routes=(PeerRoute("gpu2", None),))).level == "fail"


def test_a_missing_interface_fails() -> None:
    assert finding("nic", Needs(trains_with_others=True), spec={"nic": "ib0"}).level == "fail"


@pytest.mark.parametrize(("offset", "level"), [(1.9, "ok"), (-1.9, "ok"), (2.1, "fail"), (-300.0, "fail")])
def test_clocks_may_be_two_seconds_apart(offset: float, level: str) -> None:
    facts = {"gpu1": host_facts(clock_offset=5.0), "gpu2": host_facts(host="gpu2", clock_offset=5.0 + offset)}
    assert [(item.host, item.level) for item in check_together(facts)] == [("gpu2", level)]


def test_one_host_has_nobody_to_differ_from() -> None:
    assert check_together({"gpu1": host_facts()}) == ()


def test_the_first_failure_is_raised_and_the_others_are_named() -> None:
    findings = (
        Finding("gpu1", "port", "warn", "port 8000 is taken"),
        Finding("gpu1", "engine", "fail", "no engine", "start it"),
        Finding("gpu2", "disk", "fail", "too small", "make room"),
    )
    with pytest.raises(UnfitError) as caught:
        require_fit(findings)
    assert (caught.value.where, caught.value.what, caught.value.fix) == ("gpu1", "no engine", "start it")
    assert "gpu2: too small" in caught.value.why


def test_a_host_that_does_not_answer_is_the_first_to_tell_of() -> None:
    findings = (
        Finding("gpu1", "disk", "fail", "too small"),
        Finding("gpu2", "reachable", "fail", "no answer"),
    )
    with pytest.raises(UnreachableError, match="gpu2"):
        require_fit(findings)


def test_warnings_let_a_host_pass() -> None:
    require_fit((Finding("gpu1", "shm", "warn", "64 MB"),))
