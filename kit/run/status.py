"""`kit status`: the runs and containers of every host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import KitError, UnfitError
from kit.run.fleet import open_some_hosts, try_each
from kit.run.machine import make_some_machines
from kit.run.seen_run import RUNNING, SeenRun, seen_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run on a host."""

    host: str
    job: str
    kind: str
    run_id: str
    state: str
    """`running`, `done`, `failed`, `stopped`, `lost`, or `ended` (over, but not recorded yet)."""
    container: str | None
    """The engine's word for its container; None when there is none."""
    started: float
    finished: float | None
    exit_code: int | None
    url: str | None
    last_loss: float | None
    made_bytes: int | None
    carried_from: str = ""
    """The host that made it, where it was brought from another one."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host, and what is wrong with it."""

    host: str
    address: str
    engine_version: str | None
    free_bytes: int | None
    bundle: str | None
    """Name of the bundle that was last shipped to it."""
    error: str | None = None
    exit_code: int = 0
    """The exit code of what went wrong."""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    hosts: tuple[HostRow, ...]
    runs: tuple[RunRow, ...]

    @property
    def exit_code(self) -> int:
        """0, or the code of the first host that could not be asked."""
        return next((row.exit_code for row in self.hosts if row.exit_code), 0)


def status(
    loaded: LoadedProject, names: tuple[str, ...], toolbox: Toolbox, *, every_run: bool = False
) -> Status:
    """Return how hosts and runs stand; of each job the newest run, unless `every_run`.

    A host that cannot be asked has its error in its row.
    """
    specs = loaded.project.hosts
    with open_some_hosts(loaded, names, toolbox.connect) as reached:
        machines, unfit = make_some_machines(reached.hosts, specs, toolbox)
        found, silent = try_each(tuple(machines), lambda host: _runs(machines[host], every_run=every_run))
    failures = {**reached.failures, **unfit, **silent}
    rows = tuple(_host_row(name, specs[name].address, machines, failures) for name in names)
    return Status(rows, tuple(run_row(run) for name in names for run in found.get(name, ())))


def _runs(machine: Machine, *, every_run: bool) -> tuple[SeenRun, ...]:
    return listed(seen_runs(machine.ask("runs")["runs"], machine.name), every_run=every_run)


def listed(runs: tuple[SeenRun, ...], *, every_run: bool) -> tuple[SeenRun, ...]:
    """Return the runs worth showing: what goes on, and the newest of each job. Pure."""
    newest: dict[str, str] = {}
    for run in runs:
        newest.setdefault(run.record.job, run.record.run_id)
    return tuple(
        run
        for run in runs
        if every_run or run.state == RUNNING or newest[run.record.job] == run.record.run_id
    )


def _host_row(
    name: str, address: str, machines: Mapping[str, Machine], failures: Mapping[str, KitError]
) -> HostRow:
    failure = failures.get(name)
    machine = machines.get(name)
    # A host that nothing was shipped to is no failure of the command that tells so.
    code = 0 if failure is None or isinstance(failure, UnfitError) else failure.exit_code
    return HostRow(
        host=name,
        address=address,
        engine_version=machine.facts.engine_version if machine else None,
        free_bytes=machine.facts.free_bytes if machine else None,
        bundle=machine.shipped.name if machine else None,
        error=str(failure) if failure else None,
        exit_code=code,
    )


def run_row(run: SeenRun) -> RunRow:
    """Return what is shown of a run. Pure."""
    record, state = run.record, run.state
    address = f"{'https' if record.endpoint_tls else 'http'}://{record.endpoint_bind}:{record.endpoint_port}"
    return RunRow(
        host=record.host,
        job=record.job,
        kind=record.kind,
        run_id=record.run_id,
        state=state,
        container=run.container.status if run.container else None,
        started=record.started,
        finished=record.finished if record.finished or not run.container else run.container.finished,
        exit_code=record.exit_code
        if record.exit_code is not None or not run.container
        else run.container.exit_code,
        url=address if run.runs and record.endpoint_port and record.host == record.rank_zero else None,
        last_loss=record.training.last_loss if record.training else None,
        made_bytes=run.artifact_bytes,
        carried_from=record.carried_from,
    )
