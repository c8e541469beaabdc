"""How the loss of trainings went, step by step: read on the host that gathers what they learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError, UnfitError
from kit.project.job_model import TrainJob
from kit.run import commands
from kit.run.fleet import each, open_hosts
from kit.run.machine import make_machines
from kit.run.needs import find_job
from kit.run.seen_run import SeenRun, seen_runs
from kit.run.training_log import TRAINER_LOG, read_points

if TYPE_CHECKING:
    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox
    from kit.run.training_log import Points

LOSS = "loss"
_KNOWN = "loss, eval_loss, lr; of rm and dpo also reward, accuracy"


@dataclass(frozen=True, slots=True)
class Curve:
    """One run's values."""

    job: str
    run_id: str
    state: str
    points: Points
    """(step, value) pairs as they were logged."""

    @property
    def name(self) -> str:
        """Job and run, for people."""
        return f"{self.job} {self.run_id}"


@dataclass(frozen=True, slots=True)
class Curves:
    """What was asked for."""

    value: str
    curves: tuple[Curve, ...]


def read_curves(
    loaded: LoadedProject, jobs: tuple[str, ...], toolbox: Toolbox, *, last: int = 1, value: str = LOSS
) -> Curves:
    """Return the `last` newest runs of each train job with what they logged, also while they run.

    Raises ConfigError for a job that is no training or a value that none logged, UnfitError without a run.
    """
    homes = {job: _home(loaded, job) for job in dict.fromkeys(jobs)}
    with open_hosts(loaded, tuple(dict.fromkeys(homes.values())), toolbox.connect) as hosts:
        machines = make_machines(hosts, loaded.project.hosts, toolbox)
        found = each(tuple(homes), lambda job: _of_job(machines[homes[job]], job, last, value))
    curves = tuple(curve for part in found.values() for curve in part)
    if not any(curve.points for curve in curves):
        runs = ", ".join(curve.name for curve in curves)
        raise ConfigError(
            f"nothing logged {value!r} yet", where=runs, fix=f"wait, or another value: {_KNOWN}"
        )
    return Curves(value, curves)


def _home(loaded: LoadedProject, name: str) -> str:
    job = find_job(loaded.project, name)
    if not isinstance(job, TrainJob):
        raise ConfigError("only a training has a curve", where=f"jobs.{name}", fix="name a train job")
    return job.hosts[0]


def _of_job(machine: Machine, job: str, last: int, value: str) -> tuple[Curve, ...]:
    runs = seen_runs(machine.ask("runs", job=job)["runs"], machine.name)[:last]
    if not runs:
        raise UnfitError(f"{job} never ran here", where=machine.name, fix=f"kit up {job}")
    return tuple(_curve(machine, run, value) for run in runs)


def _curve(machine: Machine, run: SeenRun, value: str) -> Curve:
    record = run.record
    points = logged_points(machine, f"{machine.spec.root}/runs/{record.job}/{record.run_id}", value)
    return Curve(record.job, record.run_id, run.state, points)


def logged_points(machine: Machine, run_folder: str, value: str = LOSS) -> Points:
    """Return what a run's log says of a value; nothing where there is no log."""
    found = machine.run(commands.print_file(f"{run_folder}/out/{TRAINER_LOG}"))
    return read_points(found.text.splitlines(), value) if found.status == 0 else ()
