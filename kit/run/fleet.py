"""Several hosts at once: connections that are opened, used in parallel, and closed together."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from kit.errors import ConfigError, KitError
from kit.project.references import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from kit.host.port import Host
    from kit.project.load import LoadedProject
    from kit.project.model import HostSpec

    Connect = Callable[[str, HostSpec, Path], Host]

T = TypeVar("T")
MOST_AT_ONCE = 16
"""Hosts worked on at the same time."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of asking several hosts: an answer or a failure for each."""

    hosts: Mapping[str, Host]
    failures: Mapping[str, KitError]


def each(names: tuple[str, ...], work: Callable[[str], T]) -> dict[str, T]:
    """Do the work for every name in parallel; return name → result, in the order of the names.

    When any fails, the first failure in that order is raised, after all have ended.
    """
    results, failures = try_each(names, work)
    for failure in failures.values():
        raise failure
    return results


def try_each(names: tuple[str, ...], work: Callable[[str], T]) -> tuple[dict[str, T], dict[str, KitError]]:
    """Do the work for every name in parallel; return (name → result, name → what failed)."""
    gate = threading.Semaphore(MOST_AT_ONCE)
    # Daemons, unlike a pool's threads, do not hold up the end of the process after Ctrl-C.
    workers = {name: _Worker(gate, work, name) for name in names}
    for worker in workers.values():
        worker.start()
    for worker in workers.values():
        worker.join()
    failures = {name: worker.failure for name, worker in workers.items() if worker.failure is not None}
    for failure in failures.values():
        if not isinstance(failure, KitError):
            raise failure
    known = {name: failure for name, failure in failures.items() if isinstance(failure, KitError)}
    return {name: worker.results[0] for name, worker in workers.items() if worker.results}, known


class _Worker(threading.Thread, Generic[T]):
    """Does the work for one name, and keeps what came of it."""

    def __init__(self, gate: threading.Semaphore, work: Callable[[str], T], name: str) -> None:
        super().__init__(daemon=True)
        self._gate = gate
        self._work = work
        self._for = name
        self.results: list[T] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        with self._gate:
            try:
                self.results.append(self._work(self._for))
            except BaseException as failure:  # noqa: BLE001 - raised again in the thread that waits
                self.failure = failure


def chosen_hosts(loaded: LoadedProject, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts asked for, or all of kit.yaml. Raises ConfigError for an unknown one. Pure."""
    known = tuple(loaded.project.hosts)
    for name in names:
        if name not in known:
            raise ConfigError(f"no host named {name!r}", where="hosts", why=nearest(name, known))
    if not known:
        raise ConfigError("no host is defined", where="hosts", fix="add one to kit.yaml")
    return names or known


@contextmanager
def open_hosts(loaded: LoadedProject, names: tuple[str, ...], connect: Connect) -> Iterator[dict[str, Host]]:
    """Connect to all of these hosts, and close the connections at the end.

    Raises UnreachableError when any of them cannot be reached or trusted.
    """
    with open_some_hosts(loaded, names, connect) as reached:
        for failure in reached.failures.values():
            raise failure
        yield dict(reached.hosts)


@contextmanager
def open_some_hosts(loaded: LoadedProject, names: tuple[str, ...], connect: Connect) -> Iterator[Reached]:
    """Connect to those of the hosts that can be reached, and close the connections at the end."""
    hosts, failures = try_each(names, lambda name: connect(name, loaded.project.hosts[name], loaded.folder))
    try:
        yield Reached(hosts, failures)
    finally:
        for host in hosts.values():
            host.close()
