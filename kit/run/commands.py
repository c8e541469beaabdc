"""The commands that kit runs on a host for a run, as tuples of words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import UnfitError

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.host.port import Argv

STOP_SECONDS = 20
"""How long a container may take to end before the engine kills it."""

UP = ("up", "-d")
DOWN = ("down", "-t", str(STOP_SECONDS))

# `docker logs` keeps the container's two streams apart; people want them as they came. The script is
# fixed, and what varies comes as its arguments.
_BOTH_STREAMS = 'exec "$@" 2>&1'


def compose(facts: HostFacts, project: str, run_folder: str, *words: str) -> Argv:
    """Return a compose command on a run's file. Raises UnfitError when the host has no compose."""
    if not facts.compose:
        raise UnfitError(
            "no docker compose",
            where=facts.host,
            fix="install the compose plugin (docker-compose-plugin) or docker-compose there; kit check",
        )
    return (*facts.compose, "-p", project, "-f", f"{run_folder}/compose.yaml", *words)


def inspect_state(facts: HostFacts, container: str) -> Argv:
    """Return the command that prints a container's state as JSON."""
    return (*facts.docker, "container", "inspect", "--format", "{{json .State}}", container)


def stop(facts: HostFacts, container: str) -> Argv:
    """Return the command that ends a container."""
    return (*facts.docker, "stop", "-t", str(STOP_SECONDS), container)


def attach(facts: HostFacts, container: str) -> Argv:
    """Return the command that joins this terminal to a container's."""
    return (*facts.docker, "attach", container)


def remove(facts: HostFacts, container: str) -> Argv:
    """Return the command that removes a container, running or not."""
    return (*facts.docker, "rm", "-f", container)


def container_log(facts: HostFacts, container: str, tail: int | None, *, follow: bool = False) -> Argv:
    """Return the command that prints the end of a container's log (None: all of it)."""
    words = (*facts.docker, "logs", "--tail", "all" if tail is None else str(tail))
    return ("sh", "-c", _BOTH_STREAMS, "sh", *words, *(("--follow",) if follow else ()), container)


def saved_log(run_folder: str, host: str, tail: int | None) -> Argv:
    """Return the command that prints the end of a log that was kept with its run."""
    return ("tail", "-n", "+1" if tail is None else str(tail), f"{run_folder}/logs/{host}.log")


def last_line(path: str) -> Argv:
    """Return the command that prints a file's last line."""
    return ("tail", "-n", "1", path)


def print_rest(path: str, start: int) -> Argv:
    """Return the command that prints a file from its byte `start` on, counted from 0."""
    return ("tail", "-c", f"+{start + 1}", path) if start else print_file(path)


def make_folders(paths: tuple[str, ...]) -> Argv:
    """Return the command that makes folders where they are not."""
    return ("mkdir", "-p", "--", *paths)


def print_file(path: str) -> Argv:
    """Return the command that prints a file."""
    return ("cat", path)
