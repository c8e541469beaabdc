"""A host's Docker engine: its settings, start, stop, and whether it answers."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.errors import LabError
from tests.lab.names import CONTROL_GROUP
from tests.lab.namespaces import enter, file_system_of
from tests.lab.roots import engine_kind
from tests.lab.shell import start_detached, wait_until
from tests.lab.state import write_file

if TYPE_CHECKING:
    from tests.lab.state import Folders, LabHost

START_SECONDS = 30
STOP_SECONDS = 20
LOG = "var/log/dockerd.log"


def settings_of(folders: Folders, host: LabHost) -> dict[str, Any]:
    """Return a host's daemon.json: what the lab needs, then what `engine-set` put there."""
    own = {"cgroup-parent": f"/{CONTROL_GROUP}/{host.name}", "shutdown-timeout": 3, "log-level": "warn"}
    if engine_kind(host.engine).containerd_store:
        own["features"] = {"containerd-snapshotter": True}
    more = folders.host(host.name) / "engine.json"
    extra = json.loads(more.read_text(encoding="utf-8")) if more.exists() else {}
    return {**own, **extra}


def change_settings(folders: Folders, host: LabHost, settings: dict[str, Any]) -> None:
    """Keep more daemon.json keys for a host (None takes one out), for the engine's next start."""
    path = folders.host(host.name) / "engine.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {key: value for key, value in {**before, **settings}.items() if value is not None}
    write_file(path, json.dumps(kept, indent=1))


def answers(socket_path: Path) -> bool:
    """Tell whether an engine answers a ping on a Unix socket."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(str(socket_path))
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return client.recv(64).startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
    return False


def engine_answers(name: str) -> bool:
    """Tell whether a running host's engine answers."""
    return answers(file_system_of(name) / "run/docker.sock")


def start_engine(folders: Folders, host: LabHost) -> None:
    """Start a host's engine where it does not run yet; does not wait for it."""
    if engine_answers(host.name):
        return
    root = file_system_of(host.name)
    write_file(root / "etc/docker/daemon.json", json.dumps(settings_of(folders, host), indent=1))
    # A killed engine leaves its pid file; the number may belong to another process by now.
    # As Docker's own systemd unit does; containers inherit these limits.
    limits = "ulimit -n 1048576 2>/dev/null || true; ulimit -l unlimited 2>/dev/null || true"
    start = f"{limits}; rm -f /run/docker.pid /run/docker/containerd/containerd.pid; exec dockerd"
    with (root / LOG).open("ab") as log:
        start_detached(enter(host.name, ("sh", "-c", start)), log)


def wait_for_engine(name: str) -> None:
    """Return when a host's engine answers; raises LabError with the last lines of its log."""
    if not wait_until(lambda: engine_answers(name), START_SECONDS):
        log = (file_system_of(name) / LOG).read_text(encoding="utf-8", errors="replace")
        raise LabError(f"the engine of {name} did not start: " + "\n".join(log.splitlines()[-8:]))


def engine_pids(name: str) -> tuple[int, ...]:
    """Return the machine's process numbers of a host's dockerd and the containerd that it started."""
    root = file_system_of(name)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                same = (entry / "ns/mnt").stat().st_ino == (root.parent / "ns/mnt").stat().st_ino
                if same and (entry / "comm").read_text().strip() in {"dockerd", "containerd"}:
                    found.append(int(entry.name))
    return tuple(found)


def stop_engine(name: str, seconds: float = STOP_SECONDS) -> None:
    """Ask a host's engine to stop, with its containers; kill it when that takes longer than given."""
    for pid in engine_pids(name):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd":
                os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: not engine_pids(name), seconds):
        for pid in engine_pids(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
