"""Which job is meant, and whose artifact it uses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.project.job_model import ExportJob, ServeJob
from kit.project.references import hosts_of, nearest

if TYPE_CHECKING:
    from kit.project.job_model import Job
    from kit.project.model import Project


def find_job(project: Project, name: str) -> Job:
    """Return the job of that name. Raises ConfigError that lists what there is."""
    job = project.jobs.get(name)
    if job is None:
        hint = nearest(name, tuple(project.jobs))
        raise ConfigError(f"no job named {name!r}", where="jobs", why=hint, fix="name a job of kit.yaml")
    return job


def maker_of(project: Project, name: str) -> str | None:
    """Return the earlier job whose artifact a job uses, or None.

    Raises ConfigError when that artifact is made on another host than the job runs on.
    """
    job = find_job(project, name)
    if isinstance(job, ExportJob):
        maker = job.from_
    elif isinstance(job, ServeJob) and job.model not in project.models:
        maker = job.model
    else:
        return None
    made_on, used_on = hosts_of(project, maker)[:1], hosts_of(project, name)[:1]
    if made_on != used_on:
        raise ConfigError(
            f"what {maker} makes is on {made_on[0]}, and {name} runs on {used_on[0]}",
            where=f"jobs.{name}.hosts",
            why="kit does not yet carry what a job made from host to host",
            fix=f"hosts: [{made_on[0]}]",
        )
    return maker
