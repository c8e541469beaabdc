"""From a job's name to all that is known before it starts. Changes nothing but records of ended runs."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from kit.errors import KitError, UnfitError
from kit.jobs.launch import LaunchContext
from kit.jobs.make_launch import make_launch
from kit.project.references import hosts_of, image_of
from kit.run.access import Access
from kit.run.describe_run import describe
from kit.run.find_endpoints import find_endpoints
from kit.run.fleet import each
from kit.run.images import check_image
from kit.run.model_tokens import check_template_there
from kit.run.needs import find_job, makers_of
from kit.run.resume import resume_notes, resume_point, resumed_sources, seek_checkpoint
from kit.run.routes import ask_way
from kit.run.seek_made import seek_made
from kit.run.seen_run import SeenRun, seen_runs
from kit.ship.wanted import Wanted, trees_in, trees_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kit.bundle.manifest import FileTree, Manifest
    from kit.jobs.launch import Launch
    from kit.jobs.network import Route
    from kit.project.model import Project
    from kit.run.carry import Carry
    from kit.run.choose_checkpoint import Resume
    from kit.run.machine import Machine
    from kit.run.record import RunRecord

FOLDERS = {"model": "models", "dataset": "datasets"}
"""Kind of tree → the folder under a host's root that holds it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that could start now."""

    machines: Mapping[str, Machine]
    """In the order of the job's hosts."""
    launch: Launch
    records: Mapping[str, RunRecord]
    """Host → the record that the run begins with."""
    open_runs: Mapping[str, tuple[SeenRun, ...]]
    """Host → runs of this job whose end is not recorded."""
    carries: tuple[Carry, ...] = ()
    """What earlier jobs made on other hosts, to be brought before the start."""
    notes: tuple[str, ...] = ()
    resume: Resume | None = None
    """What a training goes on from."""

    @property
    def running(self) -> tuple[SeenRun, ...]:
        """Runs of this job that go on now."""
        return tuple(run for runs in self.open_runs.values() for run in runs if run.runs)

    @property
    def runs_already(self) -> bool:
        """The very same launch runs on every one of its hosts."""
        wanted = {(host, record.launch_digest) for host, record in self.records.items()}
        return wanted <= {(run.record.host, run.record.launch_digest) for run in self.running}


def prepare(  # noqa: PLR0913 - what is known before its hosts are asked
    project: Project,
    job: str,
    manifest: Manifest,
    machines: Mapping[str, Machine],
    run_id: str,
    *,
    others: Mapping[str, Machine | KitError] = MappingProxyType({}),
    access: Access | None = None,
    goes_on: bool = False,
) -> Prepared:
    """Look at the job's hosts and return what would be launched.

    `others` are the hosts beside the job's own that hold what it uses, or why they cannot be asked;
    `access` what stands in the files of keys and certificates that the job names, and opens what it asks.
    A training that `goes_on` does so from its last whole checkpoint.
    Raises ConfigError for what kit.yaml asks in vain, UnfitError when something is missing on a
    host, VerificationError when an image or an artifact is not what its record says.
    """
    find_job(project, job)
    makers, access = makers_of(project, job), access or Access()
    _check_images(project, job, manifest, machines)
    trees = trees_in(manifest, Wanted((), trees_of(project, job)))
    surveys = each(tuple(machines), lambda host: _survey(machines[host], job, trees, makers))
    _check_trees(surveys)
    notes = check_template_there(project, job, next(iter(machines.values())))
    made = {host: found["made"] for host, found in surveys.items()}
    sought = seek_made(project, makers, machines, made, others)
    resume = seek_checkpoint(project, job, machines) if goes_on else None
    context = LaunchContext(
        endpoints=find_endpoints(project, job, machines, others, access.doors),
        images={image.name: image.identity_tag for image in manifest.images},
        facts={host: machine.facts for host, machine in machines.items()},
        sources=sought.sources,
        data_bytes={tree.name: sum(f.size for f in tree.files) for tree in trees if tree.kind == "dataset"},
        routes=_routes(project, machines),
        secrets=access.secrets,
        resume=resume_point(resume) if resume else None,
    )
    launch = make_launch(project, job, run_id, context)
    return Prepared(
        machines=machines,
        launch=launch,
        records=describe(launch, {**sought.sources, **resumed_sources(job, resume, machines)}),
        open_runs={host: seen_runs(found["runs"], host) for host, found in surveys.items()},
        carries=sought.carries,
        notes=(*notes, *sought.notes, *resume_notes(resume)),
        resume=resume,
    )


def job_hosts(project: Project, job: str) -> tuple[str, ...]:
    """Return the hosts that a job runs on. Raises ConfigError when there is no such job."""
    find_job(project, job)
    return hosts_of(project, job)


def _check_images(project: Project, job: str, manifest: Manifest, machines: Mapping[str, Machine]) -> None:
    image = manifest.image(image_of(project, job))
    if image is None:
        return  # make_launch says so, with the key that asks for it

    for machine in machines.values():
        check_image(image, machine.facts)


def _survey(
    machine: Machine, job: str, trees: tuple[FileTree, ...], makers: tuple[str, ...]
) -> dict[str, Any]:
    wanted = [
        {
            "folder": f"{FOLDERS[tree.kind]}/{tree.name}",
            "files": [{"path": file.path, "size": file.size} for file in tree.files],
        }
        for tree in trees
    ]
    return machine.ask("survey", job=job, trees=wanted, made_by=list(makers))


def _check_trees(surveys: Mapping[str, Mapping[str, Any]]) -> None:
    for host, found in surveys.items():
        missing = found["missing"]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UnfitError(
                f"shipped files are missing or cut short: {missing[0]}{more}",
                where=host,
                fix=f"kit ship --host {host}",
            )


def _routes(project: Project, machines: Mapping[str, Machine]) -> dict[str, Route]:
    names = tuple(machines)
    if len(names) == 1:
        return {}
    # The first host looks towards the second, every other one towards the first.
    targets = {host: names[0] if host != names[0] else names[1] for host in names}
    ways = each(names, lambda host: ask_way(machines[host].host, project.hosts[targets[host]].address))
    return {host: way.route for host, way in ways.items() if way.route is not None}
