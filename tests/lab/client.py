"""The lab for tests: every method is one command of `python3 -m tests.lab`, by sudo where needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.errors import LabError, LabUnavailableError
from tests.lab.namespaces import file_system_of
from tests.lab.privileges import REPOSITORY, command_line
from tests.lab.state import existing_intranet, lab_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_HOSTS = (("gpu1", "20.10"), ("gpu2", "20.10"))


def call(*words: str, stdin: bytes | None = None) -> str:
    """Run one lab command and return what it printed; raises LabError, LabUnavailableError."""
    done = _call(words, stdin)
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == LabUnavailableError.exit_status:
        raise LabUnavailableError(said)
    if done.returncode != 0:
        raise LabError(f"lab {' '.join(words)}: exit {done.returncode}: {said}")
    if said:
        print(said, file=sys.stderr, flush=True)
    return done.stdout.decode(errors="replace")


def _call(words: tuple[str, ...], stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    argv = command_line(*words)
    if stdin is None:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, cwd=REPOSITORY, check=False
        )
    return subprocess.run(argv, input=stdin, capture_output=True, cwd=REPOSITORY, check=False)


@dataclass(frozen=True, slots=True)
class SinkReader:
    """The counting sink while it is up."""

    def counts(self) -> dict[str, int]:
        """Return packets that were routed out of the intranet and name queries, since the sink came up."""
        said: dict[str, int] = json.loads(call("sink", "read"))
        return said


@dataclass(frozen=True, slots=True)
class Lab:
    """A running intranet. Several Lab values may speak of the same one."""

    names: tuple[str, ...]

    @classmethod
    def up(cls, hosts: tuple[tuple[str, str], ...] = DEFAULT_HOSTS, disk: str = "") -> Lab:
        """Start these (name, engine) hosts or mend them; raises LabUnavailableError where no lab can be."""
        words = [word for name, engine in hosts for word in ("--host", f"{name}:{engine}")]
        call("up", *words, *(("--disk", disk) if disk else ()))
        return cls(tuple(name for name, _ in hosts))

    def down(self, *names: str, purge: bool = False) -> None:
        """Stop these hosts; without names all of them and the online engine. Purge forgets their data."""
        call("down", *(("--purge",) if purge else ()), *names)

    @property
    def key(self) -> Path:
        """The private key that logs in as root and as ops."""
        return lab_folders().key

    @property
    def known_hosts(self) -> Path:
        """Every host's key, under its name and its address."""
        return lab_folders().known_hosts

    @property
    def ssh_config(self) -> Path:
        """A file for `ssh -F`."""
        return lab_folders().ssh_config

    @property
    def machine_address(self) -> str:
        """This machine's own address on the intranet."""
        return f"{existing_intranet(lab_folders()).prefix}.1"

    def address(self, name: str) -> str:
        """Return a host's address."""
        return existing_intranet(lab_folders()).address(name)

    def run(
        self, name: str, argv: tuple[str, ...], *, user: str = "root", stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command inside a host and return how it ended, whatever its status."""
        return _call(("exec", "--user", user, name, "--", *argv), stdin)

    def exec(
        self, name: str, argv: tuple[str, ...], *, user: str = "root", stdin: bytes | None = None
    ) -> str:
        """Run a command inside a host and return its output; raises LabError when it fails."""
        return call("exec", "--user", user, name, "--", *argv, stdin=stdin)

    def put(self, name: str, path: str, data: bytes, mode: str = "0644") -> None:
        """Write a file inside a host, with the folders above it."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"'
        self.exec(name, ("sh", "-c", script, "put", path, mode), stdin=data)

    def cut(self, name: str) -> None:
        """Pull a host's plug."""
        call("cut", name)

    def restore(self, name: str) -> None:
        """Plug a host in again, at full speed and with no delay."""
        call("restore", name)

    def slow(self, name: str, *, rate: str = "", delay: str = "", loss: str = "") -> None:
        """Limit a host's link each way: rate "1gbit", delay added to the round trip "88ms", loss "0.1%"."""
        call("slow", name, "--rate", rate, "--delay", delay, "--loss", loss)

    def fill(self, name: str, leave_megabytes: int) -> None:
        """Fill the disk of a host that was started with one of its own, but for so many megabytes."""
        call("fill", name, "--leave", str(leave_megabytes))

    def empty(self, name: str) -> None:
        """Take away what `fill` put there."""
        call("fill", name)

    def engine_host(self, name: str) -> str:
        """Return a DOCKER_HOST for a running host's engine, to be used from this machine as root."""
        return f"unix://{file_system_of(name)}/run/docker.sock"

    def engine_stop(self, name: str) -> None:
        """Stop a host's Docker engine."""
        call("engine-stop", name)

    def engine_start(self, name: str) -> None:
        """Start a host's Docker engine and wait until it answers."""
        call("engine-start", name)

    def engine_set(self, name: str, settings: dict[str, Any]) -> None:
        """Add daemon.json keys (None takes one out) and start the engine again."""
        call("engine-set", name, json.dumps(settings))

    def status(self) -> list[dict[str, str]]:
        """Return a row for each host, with the versions that it tells."""
        rows: list[dict[str, str]] = json.loads(call("status", "--json"))
        return rows

    @contextmanager
    def sink(self, names: tuple[str, ...]) -> Iterator[SinkReader]:
        """Give hosts a way out that ends in a counting sink, for as long as the block runs."""
        call("sink", "up", *names)
        try:
            yield SinkReader()
        finally:
            call("sink", "down")


def online_engine() -> str:
    """Start the online machine's private engine where it does not run; return its DOCKER_HOST."""
    return call("engine-up").strip().removeprefix("export DOCKER_HOST=")


def stop_online_engine() -> None:
    """Stop the online machine's private engine; its images stay."""
    call("engine-down")


def environment(lab: Lab, engine: str = "") -> dict[str, str]:
    """Return an environment in which kit knows the lab's hosts, and this engine when one is given."""
    chosen = {"KIT_KNOWN_HOSTS": str(lab.known_hosts), "KIT_SSH_CONFIG": str(lab.ssh_config)}
    return {**os.environ, **chosen, **({"DOCKER_HOST": engine} if engine else {})}
