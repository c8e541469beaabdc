"""`kit logs`: what a job's containers wrote, on the hosts where they did."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError, EngineError, UnfitError
from kit.run import commands
from kit.run.fleet import chosen_hosts, each, open_hosts
from kit.run.machine import make_machines
from kit.run.prepare import job_hosts
from kit.run.seen_run import SeenRun, seen_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.host.facts import HostFacts
    from kit.host.port import Argv
    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What is asked of `kit logs`."""

    job: str
    hosts: tuple[str, ...]
    tail: int | None
    """Lines of each host; None for all."""
    follow: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a container wrote."""

    host: str
    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """The log of a job."""

    job: str
    lines: tuple[LogLine, ...]


def choose_logs(
    loaded: LoadedProject, job: str, hosts: tuple[str, ...], tail: str, *, follow: bool
) -> LogRequest:
    """Return the request for a job's logs, on all of its hosts unless some are named.

    Raises ConfigError for a job, host or number that is none. Pure.
    """
    there = job_hosts(loaded.project, job)
    for host in chosen_hosts(loaded, hosts) if hosts else ():
        if host not in there:
            raise ConfigError(
                f"{job} does not run on {host}", where="--host", fix=f"one of: {', '.join(there)}"
            )
    if tail != "all" and not tail.isdigit():
        raise ConfigError(f"{tail!r} is no number of lines", where="--tail", fix="a number, or all")
    return LogRequest(job, hosts or there, None if tail == "all" else int(tail), follow)


def collect_lines(loaded: LoadedProject, request: LogRequest, toolbox: Toolbox) -> Lines:
    """Return the lines of a log that is not followed."""
    found: list[LogLine] = []
    logs(loaded, request, toolbox, found.append)
    return Lines(request.job, tuple(found))


def logs(
    loaded: LoadedProject, request: LogRequest, toolbox: Toolbox, on_line: Callable[[LogLine], None]
) -> None:
    """Hand the lines of the newest run to `on_line`, from one thread at a time.

    Following ends when the containers do. Raises UnfitError when the job never ran on a host.
    """
    lock = threading.Lock()

    def say(host: str, line: bytes) -> None:
        with lock:
            on_line(LogLine(host, line.decode("utf-8", "replace").rstrip("\r")))

    with open_hosts(loaded, request.hosts, toolbox.connect) as hosts:
        machines = make_machines(hosts, loaded.project.hosts, toolbox)
        words = {host: _words(machines[host], request) for host in request.hosts}
        if request.follow:
            _follow(request, machines, words, say)
        else:
            for host in request.hosts:
                _print(machines[host], words[host], say)


def _follow(
    request: LogRequest,
    machines: dict[str, Machine],
    words: dict[str, Argv],
    say: Callable[[str, bytes], None],
) -> None:
    try:
        each(request.hosts, lambda host: _print(machines[host], words[host], say))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{request.job} is not touched by that") from None


def _words(machine: Machine, request: LogRequest) -> Argv:
    runs = seen_runs(machine.ask("runs", job=request.job)["runs"], machine.name)
    if not runs:
        raise UnfitError(f"{request.job} never ran here", where=machine.name, fix=f"kit up {request.job}")
    run_folder = f"{machine.spec.root}/runs/{request.job}/{runs[0].record.run_id}"
    return log_words(runs[0], machine.facts, run_folder, request)


def log_words(run: SeenRun, facts: HostFacts, run_folder: str, request: LogRequest) -> Argv:
    """Return the command that prints a run's log: its container's, or the one kept with it. Pure."""
    if run.container is not None:
        name = run.record.compose_project
        return commands.container_log(facts, name, request.tail, follow=request.follow)
    return commands.saved_log(run_folder, run.record.host, request.tail)


def _print(machine: Machine, words: Argv, say: Callable[[str, bytes], None]) -> None:
    done = machine.host.stream(words, on_line=lambda line: say(machine.name, line))
    if done.status != 0:
        why = done.stderr.decode("utf-8", "replace").strip() or f"status {done.status}"
        raise EngineError("its log cannot be read", where=machine.name, why=why, fix="kit status")
