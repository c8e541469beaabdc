"""`kit down`: ending runs, and recording that they were ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError, EngineError
from kit.run import commands
from kit.run.fleet import open_some_hosts, try_each
from kit.run.machine import make_some_machines
from kit.run.needs import find_job
from kit.run.record import STOPPED
from kit.run.seen_run import SeenRun, seen_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.errors import KitError
    from kit.host.port import Host
    from kit.project.load import LoadedProject
    from kit.project.model import Project
    from kit.run.machine import Machine, Toolbox


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that was ended."""

    host: str
    job: str
    run_id: str
    state: str
    """`stopped`, or how it had ended before anybody recorded it."""


@dataclass(frozen=True, slots=True)
class DownResult:
    """What was ended."""

    ended: tuple[Ended, ...]
    dry_run: bool = False


def down(
    loaded: LoadedProject, names: tuple[str, ...], job: str | None, toolbox: Toolbox, *, dry_run: bool = False
) -> DownResult:
    """End a job's runs, or those of all jobs, on the hosts named.

    Hosts that can be reached are dealt with first; then what went wrong elsewhere is raised. A
    host that nothing was shipped to has nothing to end.
    """
    with open_some_hosts(loaded, names, toolbox.connect) as reached:
        shipped, failures = _with_something(reached.hosts, loaded)
        failures.update(reached.failures)
        machines, unfit = make_some_machines(shipped, loaded.project.hosts, toolbox)
        found, silent = try_each(tuple(machines), lambda host: _end_all(machines[host], job, dry_run=dry_run))
    for failure in {**failures, **unfit, **silent}.values():
        raise failure
    return DownResult(tuple(ended for rows in found.values() for ended in rows), dry_run)


def require_choice(project: Project, job: str | None, *, every: bool) -> str | None:
    """Return the job to end, or None for all. Pure.

    Raises ConfigError unless exactly one of both is asked for.
    """
    if every == (job is not None):
        raise ConfigError("name a job, or say --all", where="kit down", fix="kit down JOB, or kit down --all")
    if job is not None:
        find_job(project, job)
    return job


def _with_something(
    hosts: Mapping[str, Host], loaded: LoadedProject
) -> tuple[dict[str, Host], dict[str, KitError]]:
    specs = loaded.project.hosts
    found, failures = try_each(
        tuple(hosts),
        lambda name: hosts[name].run(commands.print_file(f"{specs[name].root}/bundles/current.json")).status,
    )
    return {name: hosts[name] for name, code in found.items() if code == 0}, failures


def _end_all(machine: Machine, job: str | None, *, dry_run: bool) -> tuple[Ended, ...]:
    runs = seen_runs(machine.ask("runs", job=job)["runs"], machine.name)
    ended = tuple(_end(machine, run, dry_run=dry_run) for run in runs if run.open)
    if not dry_run:
        _remove_left_over(machine, runs)
    return ended


def _remove_left_over(machine: Machine, runs: tuple[SeenRun, ...]) -> None:
    """Remove the containers of runs whose end another command recorded, e.g. `kit collect`.

    Most are gone already; the engine's complaint about that says nothing.
    """
    taken_down = {run.record.compose_project for run in runs if run.open}
    for project in sorted({run.record.compose_project for run in runs} - taken_down):
        machine.run(commands.remove(machine.facts, project))


def _end(machine: Machine, run: SeenRun, *, dry_run: bool) -> Ended:
    record = run.record
    if dry_run:
        return Ended(record.host, record.job, record.run_id, run.state)
    if run.runs:
        _checked(machine, commands.stop(machine.facts, record.compose_project))
    state = STOPPED if run.runs else ""
    found = machine.ask("finish_run", job=record.job, run_id=record.run_id, state=state)
    folder = f"{machine.spec.root}/runs/{record.job}/{record.run_id}"
    _checked(machine, commands.compose(machine.facts, record.compose_project, folder, *commands.DOWN))
    return Ended(record.host, record.job, record.run_id, found["record"]["state"])


def _checked(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine.run(words)
    if done.status != 0:
        why = done.stderr.decode("utf-8", "replace").strip()
        raise EngineError(
            "the engine did not end it", where=machine.name, why=why, fix="kit status; kit check"
        )
