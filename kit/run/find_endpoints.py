"""Where the endpoints answer that a job asks. Asks their hosts; changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kit.errors import JobError, KitError
from kit.jobs.launch import ServedEndpoint
from kit.project.job_model import ProxyJob
from kit.project.references import throughs_of
from kit.run.access import given_key
from kit.run.needs import asked_jobs, find_job, made_on
from kit.run.seen_run import seen_runs
from kit.ship.wanted import trees_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.model import Project
    from kit.run.access import Access
    from kit.run.machine import Machine


def find_endpoints(
    project: Project,
    name: str,
    machines: Mapping[str, Machine],
    others: Mapping[str, Machine | KitError],
    doors: Mapping[str, Access],
) -> dict[str, ServedEndpoint]:
    """Return serve job → where it answers now, for every one that a job asks.

    Raises JobError when one does not run, and what its host fails with.
    """
    asked = {job: _served(project, job, machines, others) for job in asked_jobs(project, name)}
    found = {}
    for through in throughs_of(find_job(project, name)):
        served = asked[through]
        if served is None:
            raise JobError(
                f"{name} asks {through}, which does not run",
                where=made_on(project, through),
                fix=f"kit up {through}, then again",
            )
        job = project.jobs[through]
        behind = [asked[replica] for replica in job.to] if isinstance(job, ProxyJob) else []
        identity = " ".join(one.identity for one in (served, *behind) if one is not None)
        door = doors[through]
        found[through] = replace(
            served, identity=identity, api_key=door.api_key, certificate=door.certificate
        )
    return found


def _served(
    project: Project, job: str, machines: Mapping[str, Machine], others: Mapping[str, Machine | KitError]
) -> ServedEndpoint | None:
    home = made_on(project, job)
    machine = machines.get(home) or others[home]
    if isinstance(machine, KitError):
        raise machine
    seen = seen_runs(machine.ask("survey", job=job, trees=[], made_by=[])["runs"], machine.name)
    for run in seen:
        if run.runs and run.record.endpoint_port is not None:
            return ServedEndpoint(
                host=machine.name,
                port=run.record.endpoint_port,
                bind=run.record.endpoint_bind,
                identity=_identity(project, job, run.record.launch_digest, machine),
                tls=run.record.endpoint_tls,
            )
    return None


def _identity(project: Project, job: str, launch: str, machine: Machine) -> str:
    # A launch names a made model by its run, and a shipped one by its name alone.
    trees = [machine.shipped.tree(*tree) for tree in trees_of(project, job)]
    return " ".join((launch, *(tree.manifest.digest for tree in trees if tree is not None)))


def assumed_endpoints(project: Project, name: str) -> dict[str, ServedEndpoint]:
    """Return the endpoints as kit.yaml has them, nobody being asked. Pure."""
    found = {}
    for through in throughs_of(find_job(project, name)):
        job = project.jobs[through]
        port, bind = getattr(job, "port", 0), getattr(job, "bind", "")
        found[through] = ServedEndpoint(
            made_on(project, through), port, bind, api_key=given_key(project, through)
        )
    return found
