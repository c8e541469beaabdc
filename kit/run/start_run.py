"""Starting a prepared launch on all of its hosts, or on none."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from kit.errors import EngineError, KitError, UnfitError
from kit.run import commands
from kit.run.fleet import each, try_each
from kit.run.record import FAILED, record_document
from kit.run.resume import place_checkpoint
from kit.run.start_complaints import hint_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.launch import HostLaunch
    from kit.progress import Progress
    from kit.run.machine import Machine
    from kit.run.prepare import Prepared
    from kit.run.record import RunRecord

_SHOWN = 2000
"""Characters of compose's complaint that are shown."""


def start_run(prepared: Prepared, progress: Progress) -> None:
    """Lay out the run on every host, then start it everywhere.

    When it does not start on one host, what started elsewhere is taken down again and the run is
    recorded as failed. Raises EngineError with what compose said.
    """
    shares = {share.host: share for share in prepared.launch.hosts}
    names = tuple(shares)
    each(names, lambda host: _clear(prepared, prepared.machines[host], shares[host]))
    each(names, lambda host: _write(prepared.machines[host], shares[host], prepared.records[host]))
    try:
        place_checkpoint(prepared, progress)
    except KitError:
        try_each(names, lambda host: _record_failure(prepared.machines[host], prepared.records[host]))
        raise
    _, failures = try_each(names, lambda host: _compose_up(prepared.machines[host], shares[host]))
    for failure in failures.values():
        take_down(prepared.machines, shares)
        try_each(names, lambda host: _record_failure(prepared.machines[host], prepared.records[host]))
        raise failure


def _clear(prepared: Prepared, machine: Machine, share: HostLaunch) -> None:
    """Record the ends of earlier runs, then remove their container.

    A container of the same name stands in the way, and docker-compose 1.29 trips over one that a
    newer engine made.
    """
    for run in prepared.open_runs[share.host]:
        machine.ask("finish_run", job=run.record.job, run_id=run.record.run_id)
    machine.run(commands.remove(machine.facts, share.compose_project))


def _write(machine: Machine, share: HostLaunch, record: RunRecord) -> None:
    if share.kept:
        done = machine.run(commands.make_folders(share.kept))
        if done.status != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise UnfitError(f"{share.kept[0]} cannot be made", where=machine.name, why=said[-_SHOWN:])
    machine.ask(
        "write_run",
        record=record_document(record),
        folders=list(share.folders),
        files=[asdict(file) for file in share.files],
    )


def _compose_up(machine: Machine, share: HostLaunch) -> None:
    done = machine.run(commands.compose(machine.facts, share.compose_project, share.run_folder, *commands.UP))
    if done.status != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise EngineError(
            f"compose could not start {share.service}",
            where=machine.name,
            why=said[-_SHOWN:],
            fix=hint_for(said, machine.name),
        )


def _record_failure(machine: Machine, record: RunRecord) -> None:
    machine.ask("finish_run", job=record.job, run_id=record.run_id, state=FAILED)


def take_down(machines: Mapping[str, Machine], shares: Mapping[str, HostLaunch]) -> dict[str, KitError]:
    """Stop the containers of a launch and remove them; return the hosts where that failed."""
    _, failures = try_each(tuple(shares), lambda host: remove_containers(machines[host], shares[host]))
    return failures


def remove_containers(machine: Machine, share: HostLaunch) -> None:
    """Stop what a run started on a host and remove it; volumes stay. Raises EngineError."""
    words = commands.compose(machine.facts, share.compose_project, share.run_folder, *commands.DOWN)
    done = machine.run(words)
    if done.status != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise EngineError("compose could not take it down", where=machine.name, why=said[-_SHOWN:])
