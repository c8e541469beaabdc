"""Which job is meant, and whose artifact it uses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.project.job_model import ExportJob, ProxyJob, ServeJob, TalkJob, TrainJob
from kit.project.references import hosts_of, nearest, throughs_of

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


def makers_of(project: Project, name: str) -> tuple[str, ...]:
    """Return the earlier jobs whose artifacts a job uses. Raises ConfigError for an unknown job."""
    job = find_job(project, name)
    if isinstance(job, ExportJob | TalkJob) and job.from_ is not None:
        return (job.from_,)
    if isinstance(job, TrainJob) and job.reward is not None:
        return (job.reward,)
    model = job.model if isinstance(job, ServeJob | TalkJob | ExportJob) else None
    made = (model,) if model is not None and model not in project.models else ()
    return (*made, *job.adapters) if isinstance(job, ServeJob) else made


def made_on(project: Project, maker: str) -> str:
    """Return the host where what a job makes is gathered."""
    return hosts_of(project, maker)[0]


def asked_jobs(project: Project, name: str) -> tuple[str, ...]:
    """Return the serving jobs that a job asks, and those behind them when they are proxies."""
    throughs = throughs_of(find_job(project, name))
    proxies = [job for job in map(project.jobs.get, throughs) if isinstance(job, ProxyJob)]
    return tuple(dict.fromkeys((*throughs, *(replica for job in proxies for replica in job.to))))


def hosts_beside(project: Project, name: str) -> tuple[str, ...]:
    """Return the hosts beside a job's own that hold what it uses, or serve what it asks."""
    used = (*makers_of(project, name), *asked_jobs(project, name))
    homes = dict.fromkeys(made_on(project, maker) for maker in used)
    return tuple(home for home in homes if home not in hosts_of(project, name))
