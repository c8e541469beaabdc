"""A host as the kernel sees it: a named network namespace, and processes in namespaces of their own.

The named network namespace is the host's identity: everything that runs in a host was started in it, so a
crash, a lost file or a killed daemon never leaves a process that cannot be found. The host's first process is
PID 1 of its own PID namespace; when it dies, the kernel ends every other process of the host, containers too.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.names import netns_of
from tests.lab.shell import run, start_detached, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.state import Folders, LabHost

NAMED = Path("/run/netns")
BOOT_SCRIPT = Path(__file__).with_name("boot_host.sh")
INIT = """#!/bin/sh
# Reaps what others leave behind; dash's wait collects orphans too.
trap 'exit 0' TERM
/usr/sbin/sshd -E /var/log/sshd.log
: > /run/booted
while :; do sleep 3600 & wait $!; done
"""
MACHINE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_SECONDS = 15


def processes_in(netns: str) -> tuple[int, ...]:
    """Return the machine's process numbers of everything in a named network namespace."""
    try:
        wanted = (NAMED / netns).stat().st_ino
    except OSError:
        return ()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino == wanted:
                    found.append(int(entry.name))
    return tuple(found)


def processes_above(folder: Path) -> tuple[int, ...]:
    """Return everything that runs in the file system of a host whose own folder is below this one."""
    mark = f"upperdir={folder}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "mountinfo").read_bytes():
                    found.append(int(entry.name))
    return tuple(found)


def init_of(name: str) -> int | None:
    """Return the machine's process number of a host's first process, or None when it does not run."""
    for pid in processes_in(netns_of(name)):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
            inner = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
            if inner == [str(pid), "1"]:
                return pid
    return None


def running_init(name: str) -> int:
    """Return a running host's first process; raises LabError."""
    pid = init_of(name)
    if pid is None:
        raise LabError(f"{name} is not running; start it: python3 -m tests.lab up --host {name}")
    return pid


def file_system_of(name: str) -> Path:
    """Return a path on the machine under which a running host's own files are."""
    return Path(f"/proc/{running_init(name)}/root")


def enter(name: str, argv: tuple[str, ...], user: str = "root") -> tuple[str, ...]:
    """Return the words that run a command inside a host, with the environment of a login."""
    pid = str(running_init(name))
    home = "/root" if user == "root" else f"/home/{user}"
    inside = ("nsenter", "--target", pid, "--all", "--root", f"--wd=/proc/{pid}/root{home}")
    login = (f"PATH={MACHINE_PATH}", f"HOME={home}", f"USER={user}", "LANG=C.UTF-8", "TERM=xterm")
    other = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")
    return (*inside, *other, "env", "-i", *login, *argv)


def boot(folders: Folders, host: LabHost, root: Path) -> None:
    """Start a host's first process in the host's network namespace, which must be there; does not wait."""
    folder = folders.host(host.name)
    for part in ("upper", "work", "root", "docker", "containerd", "aisys"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    disk = _disk_image(folder, host.disk)
    spaces = ("--mount", "--propagation", "private", "--pid", "--fork", "--uts", "--ipc")
    wire = f"--net={NAMED / netns_of(host.name)}"
    argv = ("nsenter", wire, "unshare", *spaces, "/bin/sh", str(BOOT_SCRIPT))
    given = {"NAME": host.name, "ROOT": str(root), "STATE": str(folder), "DISK": disk, "PATH": MACHINE_PATH}
    with (folder / "boot.log").open("wb") as log:
        start_detached(argv, log, env=given)


def _disk_image(folder: Path, size: str) -> str:
    if not size:
        return ""
    image = folder / "aisys.img"
    if not image.exists():
        run("truncate", f"--size={size}", str(image))
        run("mkfs.ext4", "-q", "-m", "0", str(image))
    return str(image)


def wait_for_boot(folders: Folders, name: str) -> None:
    """Return when a host's init runs; raises LabError with what the boot script said."""

    def booted() -> bool:
        pid = init_of(name)
        return pid is not None and Path(f"/proc/{pid}/root/run/booted").exists()

    if not wait_until(booted, BOOT_SECONDS):
        said = (folders.host(name) / "boot.log").read_text(encoding="utf-8", errors="replace").strip()
        raise LabError(f"{name} did not start: {said or 'no message'}")


def kill_process(pid: int) -> None:
    """Kill one process of the lab; one that is gone already is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_all_in(netns: str) -> None:
    """Kill everything in a named network namespace and wait until it is gone."""
    kill_all(lambda: processes_in(netns))


def kill_all(find: Callable[[], tuple[int, ...]]) -> None:
    """Kill what is found until nothing is; raises LabError when something stays."""

    def gone() -> bool:
        found = find()
        for pid in found:
            kill_process(pid)
        return not found

    if not wait_until(gone, BOOT_SECONDS):
        raise LabError(f"processes {find()} survive SIGKILL (a stuck disk?)")
