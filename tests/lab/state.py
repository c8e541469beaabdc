"""Where the lab keeps its things, and which hosts it has: one JSON file, replaced in one step."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_SOCKET_PATH = 107
"""sockaddr_un.sun_path holds 108 bytes with its closing zero."""
FIRST_ADDRESS = 11


@dataclass(frozen=True, slots=True)
class LabHost:
    """One machine of the intranet."""

    name: str
    engine: str
    number: int
    """Last part of its address."""
    disk: str = ""
    """Size of a disk of its own for /aisys, as truncate(1) reads it; empty: the machine's disk."""


@dataclass(frozen=True, slots=True)
class Intranet:
    """What the state file says."""

    prefix: str
    """First three parts of every address, such as 10.77.0."""
    hosts: tuple[LabHost, ...] = ()

    def address(self, name: str) -> str:
        return f"{self.prefix}.{self.host(name).number}"

    def host(self, name: str) -> LabHost:
        """Return the host of that name; raises LabError."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts) or "none"
        raise LabError(f"the lab has no host {name!r}; it has: {known}. `up --host {name}` adds it")

    def with_host(self, name: str, engine: str, disk: str) -> Intranet:
        """Return the intranet with this host in it; a host that is there keeps its address."""
        numbers = {host.name: host.number for host in self.hosts}
        number = numbers.get(name) or max([FIRST_ADDRESS - 1, *numbers.values()]) + 1
        others = tuple(host for host in self.hosts if host.name != name)
        hosts = sorted((*others, LabHost(name, engine, number, disk)), key=lambda host: host.number)
        return replace(self, hosts=tuple(hosts))


@dataclass(frozen=True, slots=True)
class Folders:
    """Every path the lab uses on the machine."""

    state: Path
    cache: Path

    @property
    def key(self) -> Path:
        return self.state / "key"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.state / "ssh_config"

    @property
    def engine(self) -> Path:
        return self.state / "engine"

    @property
    def engine_socket(self) -> Path:
        return self.engine / "docker.sock"

    @property
    def sink(self) -> Path:
        return self.state / "sink"

    @property
    def purged(self) -> Path:
        """A file as old as the last time that hosts were deleted."""
        return self.state / "purged"

    def host(self, name: str) -> Path:
        return self.state / "hosts" / name


def lab_folders() -> Folders:
    """Return what KIT_LAB_STATE and KIT_LAB_CACHE name; raises LabError when sockets would not fit."""
    state = Path(os.environ.get("KIT_LAB_STATE") or "/var/lib/kit-lab").absolute()
    cache = Path(os.environ.get("KIT_LAB_CACHE") or "/var/cache/kit-lab").absolute()
    longest = state / "engine/exec/containerd/containerd-debug.sock.ttrpc"
    if len(str(longest)) > LONGEST_SOCKET_PATH:
        raise LabError(f"{state} is too long for Unix sockets in it; name a shorter one in KIT_LAB_STATE")
    return Folders(state, cache)


def read_intranet(folders: Folders) -> Intranet | None:
    """Return what the state file says, or None when there is none."""
    path = folders.state / "lab.json"
    if not path.exists():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    return Intranet(said["prefix"], tuple(LabHost(**host) for host in said["hosts"]))


def existing_intranet(folders: Folders) -> Intranet:
    """Return what the state file says; raises LabError when the lab was never started."""
    intranet = read_intranet(folders)
    if intranet is None:
        raise LabError(f"no lab in {folders.state}; start one: python3 -m tests.lab up")
    return intranet


def write_intranet(folders: Folders, intranet: Intranet) -> None:
    """Replace the state file in one step."""
    said = {"prefix": intranet.prefix, "hosts": [asdict(host) for host in intranet.hosts]}
    write_file(folders.state / "lab.json", json.dumps(said, indent=1))


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(mode)
    partial.rename(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; a crash releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
