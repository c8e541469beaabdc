"""What jobs ask of a host before they start. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import UnfitError
from kit.host.checks import NeededImage, Needs, check, check_together, require_fit
from kit.host.gpu_rules import GpuJob
from kit.project.job_model import ApiJob, BoardJob, DataJob, ProxyJob, ServeJob, TrainJob
from kit.project.references import hosts_of, image_of
from kit.ship.engine.identity import expected_ids
from kit.ship.wanted import KIT_IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import Manifest
    from kit.host.checks import Finding, PeerRoute
    from kit.host.facts import HostFacts
    from kit.project.model import Project

CUDA = {"cu126": "12.6"}
"""Stack → the CUDA release that its images hold."""
PORT = "port"
"""Code of the finding about a port."""


def job_ports(project: Project, name: str, host: str) -> tuple[tuple[int, str], ...]:
    """Return the ports that a job listens on at a host, each with what wants it."""
    job = project.jobs[name]
    if isinstance(job, ServeJob) and len(job.hosts) > 1:
        return ((job.port, name), (job.cluster_port, name)) if host == job.hosts[0] else ()
    if isinstance(job, ServeJob | ProxyJob | DataJob | ApiJob | BoardJob):
        return ((job.port, name),)
    # Only the first host of a training listens where all can know it; a port that kit chooses is free.
    if isinstance(job, TrainJob) and host == job.hosts[0] and job.port is not None:
        return ((job.port, name),)
    return ()


def needs_of(
    project: Project,
    host: str,
    jobs: tuple[str, ...],
    shipped: Manifest | None,
    routes: tuple[PeerRoute, ...] = (),
) -> Needs:
    """Return what these jobs need of a host; images only when it is known what was shipped."""
    here = tuple(job for job in jobs if host in hosts_of(project, job))
    names = dict.fromkeys((KIT_IMAGE, *(image_of(project, job) for job in here)))
    found = [shipped.image(name) for name in names] if shipped else []
    together = any(
        isinstance(project.jobs[job], TrainJob | ServeJob) and len(project.jobs[job].hosts) > 1
        for job in here
    )
    return Needs(
        runs_jobs=bool(here),
        cuda=CUDA.get(project.stack, ""),
        gpu_jobs=tuple(GpuJob(image_of(project, job), tuple(project.jobs[job].env.items())) for job in here),
        ports=tuple(port for job in here for port in job_ports(project, job, host)),
        images=tuple(NeededImage(i.name, i.identity_tag, expected_ids(i)) for i in found if i is not None),
        trains_with_others=together,
        routes=routes,
    )


def require_fit_hosts(project: Project, job: str, facts: Mapping[str, HostFacts]) -> tuple[Finding, ...]:
    """Return the findings about a job's hosts that do not stop it.

    Raises UnfitError when one does. Images and ports are looked at later, when more is known.
    """
    findings = [
        finding
        for host, found in facts.items()
        for finding in check(found, project.hosts[host], needs_of(project, host, (job,), None))
    ]
    if isinstance(project.jobs[job], TrainJob | ServeJob):
        findings += check_together(facts)
    require_fit(findings)
    return tuple(finding for finding in findings if finding.level == "warn" and finding.code != PORT)


def require_free_ports(project: Project, job: str, facts: Mapping[str, HostFacts]) -> None:
    """Raise UnfitError when something else listens where a job would."""
    for host, found in facts.items():
        for port, _ in job_ports(project, job, host):
            if port in found.listening:
                who = (
                    f"kit status tells whether another job has it, ss -ltnp 'sport = :{port}' there who else"
                )
                raise UnfitError(
                    f"port {port} is taken, and not by {job}",
                    where=host,
                    fix=f"{who}; or give jobs.{job}.port another number",
                )
