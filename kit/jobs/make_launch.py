"""A job becomes a launch. Pure: the same project, hosts and images give the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError, UnfitError
from kit.jobs.api import api_launch
from kit.jobs.asking import asking_launch
from kit.jobs.board import board_launch
from kit.jobs.chat import chat_launch
from kit.jobs.data import data_launch
from kit.jobs.export import export_launch
from kit.jobs.job_rules import check_job
from kit.jobs.proxy import proxy_launch
from kit.jobs.serve import serve_launch
from kit.jobs.suites import eval_launch
from kit.jobs.train import train_launch
from kit.project.references import hosts_of, image_of, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.jobs.launch import Launch, LaunchContext
    from kit.project.model import Project

LAUNCHES: dict[str, Callable[[Project, str, str, LaunchContext], Launch]] = {
    "train": train_launch,
    "export": export_launch,
    "serve": serve_launch,
    "proxy": proxy_launch,
    "api": api_launch,
    "chat": chat_launch,
    "board": board_launch,
    "data": data_launch,
    "infer": asking_launch,
    "eval": eval_launch,
}
"""Kind of job → what makes its launch."""


def make_launch(project: Project, job_name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return everything that must stand on the hosts for a job to run.

    Raises ConfigError naming the key when kit.yaml asks for what cannot work, UnfitError when a host
    cannot do it.
    """
    job = project.jobs.get(job_name)
    if job is None:
        hint = nearest(job_name, tuple(project.jobs))
        raise ConfigError(f"no job named {job_name!r}", where="jobs", why=hint, fix="kit up one of the jobs")
    check_job(project, job_name)
    _check_context(project, job_name, context)
    return LAUNCHES[job.kind](project, job_name, run_id, context)


def _check_context(project: Project, job_name: str, context: LaunchContext) -> None:
    image = image_of(project, job_name)
    if image not in context.images:
        raise ConfigError(
            f"job {job_name!r} runs in the image {image!r}, which the bundle does not hold",
            where="images",
            fix=f"add {image} to images, then kit lock, kit bundle and kit ship",
        )
    for host in hosts_of(project, job_name):
        if host not in context.facts:
            raise UnfitError("nothing is known of this host", where=host, fix="kit check")
