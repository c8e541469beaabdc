"""Stopping leaves nothing, after any crash, and mending keeps what a host has."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import Lab, LabError, online_engine, stop_online_engine
from tests.lab.tiny_image import tiny_image

pytestmark = pytest.mark.lab
KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))
NAMES = tuple(name for name, _ in KINDS)
LAB_NAME = "labtest"


def test_the_online_machines_engine_runs_beside_others_and_ends_without_a_trace(lab: Lab) -> None:
    docker = ("docker", "-H", online_engine())
    subprocess.run((*docker, "import", "-", "tiny:1"), input=tiny_image(), check=True, capture_output=True)
    words = (
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        f"{lab.key.parent}:/seen",
        "tiny:1",
        "busybox",
        "ls",
        "/seen",
    )
    said = subprocess.run((*docker, *words), check=True, capture_output=True, text=True).stdout
    assert "known_hosts" in said
    subprocess.run(
        (*docker, "run", "-d", "--network", "none", "tiny:1", "busybox", "sleep", "1000"), check=True
    )
    stop_online_engine()
    assert _processes_that_see(str(lab.key.parent / "engine")) == []
    assert online_engine().startswith("unix://")
    kept = subprocess.run((*docker, "image", "ls", "-q"), check=True, capture_output=True, text=True).stdout
    assert kept.strip()


@dataclass(frozen=True)
class Traces:
    """What a lab has in the kernel."""

    processes: list[int]
    namespaces: list[str]
    links: list[str]
    mounts: list[str]
    groups: list[str]


def _processes_that_see(folder: str) -> list[int]:
    """Return processes, mine apart, in whose mounts or command line the folder is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                mounts, words = (entry / "mountinfo").read_bytes(), (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if folder.encode() in mounts or folder.encode() in words:
                found.append(int(entry.name))
    return found


def _traces(lab: Lab) -> Traces:
    state = str(lab.key.parent)
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return Traces(
        _processes_that_see(state),
        [path.name for path in Path("/run/netns").glob(f"{LAB_NAME}*")],
        [path.name for path in Path("/sys/class/net").glob(f"{LAB_NAME}*")],
        [line for line in mounts if state in line or f"/netns/{LAB_NAME}" in line],
        [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{LAB_NAME}")],
    )


def _kill_all_named(lab: Lab, *names: str) -> None:
    for pid in _processes_that_see(str(lab.key.parent)):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() in names:
                os.kill(pid, signal.SIGKILL)


def test_after_a_crash_up_mends_a_host_that_keeps_its_images_and_its_key(lab: Lab) -> None:
    key_before = lab.known_hosts.read_text(encoding="utf-8")
    _kill_all_named(lab, "unshare", "dockerd")
    Lab.up(KINDS[:1])
    assert "tiny" in lab.exec("old", ("docker", "image", "ls", "--format", "{{.Repository}}"))
    Lab.up(KINDS)
    assert {row["state"] for row in lab.status()} == {"up"}
    assert lab.known_hosts.read_text(encoding="utf-8") == key_before


def test_one_host_goes_down_and_is_forgotten_while_the_others_stay(lab: Lab) -> None:
    Lab.up((("extra", "20.10"),))
    assert lab.exec("extra", ("hostname",)) == "extra\n"
    lab.down("extra", purge=True)
    assert [row["host"] for row in lab.status()] == list(NAMES)
    assert not list(Path("/run/netns").glob(f"{LAB_NAME}-extra"))
    assert lab.exec("old", ("docker", "images", "-q")).strip()


def test_a_host_made_anew_at_the_same_address_answers_at_once(lab: Lab) -> None:
    for _ in range(2):
        Lab.up((("extra", "20.10"),))
        ssh = ("ssh", "-F", str(lab.ssh_config), "-o", "ConnectTimeout=3", "extra", "hostname")
        assert subprocess.run(ssh, check=True, capture_output=True).stdout == b"extra\n"
        lab.down("extra", purge=True)


def test_down_leaves_nothing_even_when_everything_was_killed_half_way(lab: Lab) -> None:
    for name in NAMES:
        lab.exec(name, ("docker", "run", "-d", "--restart", "always", "tiny:1", "busybox", "sleep", "1000"))
    lab.slow("mid", delay="10ms", loss="1%", rate="1gbit")
    before = _traces(lab)
    assert all((before.processes, before.namespaces, before.links, before.mounts, before.groups))
    _kill_all_named(lab, "dockerd", "containerd")
    subprocess.run(("ip", "netns", "delete", f"{LAB_NAME}-new"), check=True)
    (lab.key.parent / "lab.json").unlink()
    lab.down()
    assert _traces(lab) == Traces([], [], [], [], [])
    lab.down()
    with pytest.raises(LabError, match="not running"):
        lab.exec("old", ("true",))
