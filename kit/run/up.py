"""`kit up`: check, render, start, wait until it truly works, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kit.errors import UnfitError
from kit.jobs.check_arguments import unchecked
from kit.jobs.job_rules import check_job
from kit.run.access import Access, read_access
from kit.run.carry import carry_all
from kit.run.checkpoint_files import checkpoint_name
from kit.run.curve import logged_points
from kit.run.describe_run import make_run_id
from kit.run.endpoint import Endpoint, reachable_address
from kit.run.fitness import require_fit_hosts, require_free_ports
from kit.run.fleet import open_hosts, open_some_hosts
from kit.run.machine import make_machines, make_some_machines
from kit.run.needs import hosts_beside
from kit.run.plan import PlannedHost, plan_of
from kit.run.prepare import job_hosts, prepare
from kit.run.see_through import see_to_its_end
from kit.run.start_run import start_run
from kit.run.training_log import scores_of, thinned
from kit.run.wait_ready import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import Manifest
    from kit.errors import KitError
    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.project.model import Project
    from kit.run.carry import Carried
    from kit.run.machine import Machine, Toolbox
    from kit.run.prepare import Prepared
    from kit.run.record import RunRecord
    from kit.run.training_log import Points
    from kit.run.watch import Clock

SERVING = ("serve", "proxy", "data", "api", "chat", "board")
"""Kinds of job that go on in the background once they work."""

_MOST_LOSSES = 500
PLANNED = "planned"
STARTED = "started"
RUNNING = "running"
DONE = "done"


@dataclass(frozen=True, slots=True)
class UpRequest:
    """What is asked of `kit up`."""

    job: str
    token: str
    """A few random letters that make the run's name unique."""
    dry_run: bool = False
    detach: bool = False
    """Return when it has started, and do not wait until it works or ends."""
    resume: bool = False
    """A training goes on from its last whole checkpoint."""
    timeout: float = 1800.0
    """Seconds that a serve or data job may take until it works."""


@dataclass(frozen=True, slots=True)
class UpResult:
    """What came of it. What does not apply is None."""

    job: str
    kind: str
    run_id: str
    state: str
    """PLANNED, STARTED, RUNNING or DONE."""
    hosts: tuple[str, ...]
    seconds: float
    """From the command to the report."""
    start_seconds: float | None = None
    """From the container's start until the job worked, as the host saw it; for a serve or data job."""
    already_running: bool = False
    url: str | None = None
    """On the host itself."""
    served_name: str | None = None
    adapters: tuple[str, ...] = ()
    """What the endpoint serves beside its model, by the names for requests."""
    first_loss: float | None = None
    last_loss: float | None = None
    steps: int | None = None
    losses: Points = ()
    """(step, loss) pairs of a training, at most 500."""
    made_on: str | None = None
    """The host that holds what the job made."""
    made_at: str | None = None
    """Its folder there."""
    made_bytes: int | None = None
    made_files: int | None = None
    resumed_from: str | None = None
    """`RUN/checkpoint-STEP` that a training went on from."""
    resumed_adapter_only: bool | None = None
    """Its optimizer, schedule and order of the data began anew."""
    carried: tuple[Carried, ...] = ()
    """What earlier jobs made on other hosts, and was or would be brought for this one."""
    table: tuple[tuple[str, ...], ...] = ()
    """What an infer or eval job found, or a training's `predict`; the first row names the columns."""
    plan: tuple[PlannedHost, ...] = ()


def up(
    loaded: LoadedProject,
    request: UpRequest,
    manifest: Manifest | None,
    toolbox: Toolbox,
    progress: Progress,
) -> UpResult:
    """Launch a job and return how it went.

    `manifest` is the local bundle's; without one, what was shipped to the first host counts. Raises
    ConfigError, UnreachableError, UnfitError, VerificationError, EngineError or JobError, and
    KeyboardInterrupt that says what goes on.
    """
    clock = toolbox.clock
    started = clock.monotonic()
    names = job_hosts(loaded.project, request.job)
    check_job(loaded.project, request.job)
    if note := unchecked(loaded.project, request.job):
        progress.note(note)
    access = read_access(loaded, request.job)
    beside = hosts_beside(loaded.project, request.job)
    with (
        open_hosts(loaded, names, toolbox.connect) as hosts,
        open_some_hosts(loaded, beside, toolbox.connect) as reached,
    ):
        progress.start(task := f"look at {', '.join(names)}")
        machines = make_machines(hosts, loaded.project.hosts, toolbox)
        found, unfit = make_some_machines(reached.hosts, loaded.project.hosts, toolbox)
        others: dict[str, Machine | KitError] = {**found, **reached.failures, **unfit}
        run_id = make_run_id(clock.time(), request.token)
        prepared = _prepare_fit(loaded.project, manifest, machines, others, request, run_id, progress, access)
        progress.finish(task)
        result = _act(prepared, request, access, progress, clock)
    return replace(result, seconds=round(clock.monotonic() - started, 3))


def _prepare_fit(  # noqa: PLR0913, PLR0917 - what up was told, and what it found
    project: Project,
    manifest: Manifest | None,
    machines: Mapping[str, Machine],
    others: Mapping[str, Machine | KitError],
    request: UpRequest,
    run_id: str,
    progress: Progress,
    access: Access,
) -> Prepared:
    facts = {host: machine.facts for host, machine in machines.items()}
    for warning in require_fit_hosts(project, request.job, facts):
        progress.note(f"{warning.host}: {warning.text}; {warning.fix}")
    bundle = manifest or next(iter(machines.values())).shipped
    prepared = prepare(
        project,
        request.job,
        bundle,
        machines,
        run_id,
        others=others,
        access=access,
        goes_on=request.resume,
    )
    for note in prepared.notes:
        progress.note(note)
    if not (request.dry_run or prepared.running):
        require_free_ports(project, request.job, facts)
    return prepared


def _act(
    prepared: Prepared, request: UpRequest, access: Access, progress: Progress, clock: Clock
) -> UpResult:
    launch, machines = prepared.launch, prepared.machines
    if request.dry_run:
        facts = {host: machine.facts for host, machine in machines.items()}
        return replace(_result(prepared, PLANNED), plan=plan_of(launch, facts))
    again = launch.kind in SERVING and prepared.runs_already
    if not again:
        _refuse_running(prepared)
        carry_all(prepared.carries, progress)
        start_run(prepared, progress)
    if request.detach:
        return _result(prepared, RUNNING if again else STARTED, again=again)
    if launch.kind in SERVING:
        waited = launch if not again else replace(launch, run_id=prepared.running[0].record.run_id)
        seconds = wait_until_ready(waited, machines, progress, timeout=request.timeout, access=access)
        return replace(_result(prepared, RUNNING, again=again), start_seconds=round(seconds, 3))
    records = see_to_its_end(launch, machines, progress, clock)
    return _with_artifact(_result(prepared, DONE), records[launch.rank_zero], machines)


def _refuse_running(prepared: Prepared) -> None:
    for run in prepared.running:
        raise UnfitError(
            f"{run.record.job} runs already (run {run.record.run_id})",
            where=run.record.host,
            fix=f"kit logs {run.record.job} -f to watch it, kit down {run.record.job} to end it first",
        )


def _result(prepared: Prepared, state: str, *, again: bool = False) -> UpResult:
    launch = prepared.launch
    serves = launch.endpoint_port is not None
    address = reachable_address(launch.endpoint_bind)
    return UpResult(
        job=launch.job,
        kind=launch.kind,
        run_id=prepared.running[0].record.run_id if again else launch.run_id,
        state=state,
        hosts=tuple(prepared.machines),
        seconds=0.0,
        already_running=again,
        url=Endpoint(address, launch.endpoint_port or 0, tls=launch.endpoint_tls).url if serves else None,
        served_name=launch.served_name or None,
        carried=() if again else tuple(carry.shown for carry in prepared.carries),
        adapters=launch.adapters,
        **_resumed(prepared),
    )


def _resumed(prepared: Prepared) -> dict[str, Any]:
    if (resume := prepared.resume) is None:
        return {}
    name = f"{resume.run_id}/{checkpoint_name(resume.step)}"
    return {"resumed_from": name, "resumed_adapter_only": resume.adapter_only}


def _with_artifact(result: UpResult, record: RunRecord, machines: Mapping[str, Machine]) -> UpResult:
    training, artifact = record.training, record.artifact
    if training is not None:
        result = replace(
            result, first_loss=training.first_loss, last_loss=training.last_loss, steps=training.steps
        )
    if training is not None and training.first_loss is not None:
        machine = machines[record.host]
        folder = f"{machine.spec.root}/runs/{record.job}/{record.run_id}"
        result = replace(result, losses=thinned(logged_points(machine, folder), _MOST_LOSSES))
    result = replace(result, table=record.table or scores_of(training))
    if artifact is None:
        return result
    root = machines[record.host].spec.root
    return replace(
        result,
        made_on=record.host,
        made_at=f"{root}/runs/{record.job}/{record.run_id}/{artifact.path}",
        made_bytes=artifact.size,
        made_files=len(artifact.files),
    )
