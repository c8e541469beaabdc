"""A Docker engine for the online machine: private, beside whatever engine the machine runs already.

It lies in a mount and a PID namespace of its own: it cannot see the machine's containerd (which it would
share otherwise, containers and all), and ending its first process ends everything it started. Its containers
have no network: builds copy in what was fetched outside.
"""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.engine import answers
from tests.lab.errors import LabError
from tests.lab.names import CONTROL_GROUP
from tests.lab.namespaces import kill_all
from tests.lab.packages import SYSTEM_PATH
from tests.lab.shell import start_detached, wait_until
from tests.lab.state import locked, write_file

if TYPE_CHECKING:
    from tests.lab.state import Folders

START_SECONDS = 30
STOP_SECONDS = 5
START = """set -eu
mkdir -p /run/containerd
mount -t tmpfs own-containerd /run/containerd
# In a new PID namespace the numbers in these files are other processes'.
rm -f "$FOLDER/pid" "$FOLDER/exec/containerd/containerd.pid"
ulimit -n 1048576 2>/dev/null || true
# The shell stays as PID 1: it reaps what containers leave, which dockerd does not.
dockerd "$@" &
wait $!
"""


def engine_up(folders: Folders) -> str:
    """Start the online machine's private engine where it does not run; return its DOCKER_HOST."""
    with locked(folders.state / "engine.lock"):
        if not answers(folders.engine_socket):
            _start(folders)
    return f"unix://{folders.engine_socket}"


def _start(folders: Folders) -> None:
    if shutil.which("dockerd", path=SYSTEM_PATH) is None:
        raise LabError("dockerd is not installed; python3 -m tests.lab setup installs it")
    _kill_all(folders)
    # An empty settings file: the machine's own daemon.json is for the machine's own engine.
    write_file(folders.engine / "daemon.json", "{}")
    spaces = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc")
    log = folders.engine / "dockerd.log"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {**os.environ, "PATH": path, "FOLDER": str(folders.engine)}
    with log.open("ab") as file:
        argv = (*spaces, "/bin/sh", "-c", START, "dockerd", *_settings(folders))
        start_detached(argv, file, env=env)
    if not wait_until(lambda: answers(folders.engine_socket), START_SECONDS):
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        raise LabError("the online machine's engine did not start: " + "\n".join(last))


def _settings(folders: Folders) -> tuple[str, ...]:
    folder = folders.engine
    group = ("--group", os.environ["SUDO_GID"]) if os.environ.get("SUDO_GID") else ()
    return (
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'pid'}",
        f"--host=unix://{folders.engine_socket}",
        f"--config-file={folder / 'daemon.json'}",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        f"--cgroup-parent=/{CONTROL_GROUP}/online",
        "--shutdown-timeout=3",
        "--log-level=warn",
        *group,
    )


def engine_down(folders: Folders) -> None:
    """Stop the private engine and everything it runs; its images stay for the next time."""
    for pid in _processes(folders):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "dockerd":
                os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not _processes(folders), STOP_SECONDS)
    _kill_all(folders)
    folders.engine_socket.unlink(missing_ok=True)


def _processes(folders: Folders) -> tuple[int, ...]:
    """Return the private dockerd, its PID 1 and the unshare above it: all have its data folder as a word."""
    mark = f"--data-root={folders.engine / 'data'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return tuple(found)


def _kill_all(folders: Folders) -> None:
    """Kill PID 1 of its namespace, too: the kernel ends containerd, shims and containers with it."""
    kill_all(lambda: _processes(folders))
