"""Which images, models and datasets each host needs, from the jobs that run there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import FileTree, Image, Manifest
    from kit.project.job_model import EvalJob, ExportJob, InferJob, ServeJob, TalkJob
    from kit.project.model import Project

KIT_IMAGE = "kit"
"""kit's own image: on every host, since it does all that kit does there."""

TreeName = tuple[str, str]
"""(`model` or `dataset`, name)"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one host needs out of a bundle."""

    images: tuple[str, ...] = (KIT_IMAGE,)
    trees: tuple[TreeName, ...] = ()


def trees_of(project: Project, job_name: str) -> tuple[TreeName, ...]:
    """Return the shipped models and datasets that a job reads."""
    # Late, here and below: a host's agent takes orders without a kit.yaml, and starts in half the time.
    from kit.project.job_model import BoardJob, EvalJob, ExportJob, InferJob, ServeJob, TalkJob, TrainJob

    job = project.jobs[job_name]
    if isinstance(job, TrainJob):
        return (("model", job.model), *(("dataset", name) for name in job.datasets))
    if isinstance(job, ExportJob):
        texts = (("dataset", job.calibration),) if job.calibration is not None else ()
        return (*_model_of(project, job), *texts)
    if isinstance(job, BoardJob):
        models = (("model", name) for name in job.models)
        return (*models, *(("dataset", name) for name in job.datasets))
    if isinstance(job, InferJob | EvalJob):
        return _asked_by(project, job)
    return _model_of(project, job) if isinstance(job, ServeJob | TalkJob) else ()


def _asked_by(project: Project, job: InferJob | EvalJob) -> tuple[TreeName, ...]:
    from kit.project.references import shipped_model, suites_of, throughs_of

    if not suites_of(job):
        return (("dataset", job.dataset),)
    # What measures choices counts their tokens.
    models = dict.fromkeys(shipped_model(project, through) for through in throughs_of(job))
    return (*(("dataset", name) for name in suites_of(job)), *(("model", name) for name in models))


def _model_of(project: Project, job: ServeJob | TalkJob | ExportJob) -> tuple[TreeName, ...]:
    name = job.model
    training = project.jobs.get(getattr(job, "from_", None) or "")
    if training is not None:
        name = getattr(training, "model", None)
    return (("model", name),) if name is not None and name in project.models else ()


def wanted_by_host(project: Project) -> dict[str, Wanted]:
    """Return what each host of kit.yaml needs; a host without a job gets kit's image alone."""
    from kit.project.references import hosts_of, image_of

    images: dict[str, dict[str, None]] = {host: {KIT_IMAGE: None} for host in project.hosts}
    trees: dict[str, dict[TreeName, None]] = {host: {} for host in project.hosts}
    for job_name in project.jobs:
        for host in hosts_of(project, job_name):
            images[host][image_of(project, job_name)] = None
            trees[host].update(dict.fromkeys(trees_of(project, job_name)))
    for image in project.named_images:
        for host in image.hosts or project.hosts:
            images[host][image.name] = None
    return {host: Wanted(tuple(images[host]), tuple(trees[host])) for host in project.hosts}


def images_of(manifest: Manifest, wanted: Wanted) -> tuple[Image, ...]:
    """Return the wanted images out of a bundle. Raises ConfigError when it lacks one."""
    found = [manifest.image(name) for name in wanted.images]
    missing = [f"image {name}" for name, image in zip(wanted.images, found, strict=True) if image is None]
    _require(manifest, missing)
    return tuple(image for image in found if image is not None)


def trees_in(manifest: Manifest, wanted: Wanted) -> tuple[FileTree, ...]:
    """Return the wanted models and datasets out of a bundle. Raises ConfigError when it lacks one."""
    found = [manifest.tree(*name) for name in wanted.trees]
    missing = [" ".join(name) for name, tree in zip(wanted.trees, found, strict=True) if tree is None]
    _require(manifest, missing)
    return tuple(tree for tree in found if tree is not None)


def _require(manifest: Manifest, missing: list[str]) -> None:
    if missing:
        raise ConfigError(
            f"the bundle {manifest.name!r} has no {', '.join(missing)}",
            why="kit.yaml asks for more than was bundled",
            fix="kit lock && kit bundle, on the machine with a network",
        )


def check_hosts(wanted: Mapping[str, Wanted], hosts: tuple[str, ...]) -> None:
    """Raise ConfigError for a host that kit.yaml does not have."""
    unknown = [host for host in hosts if host not in wanted]
    if unknown:
        raise ConfigError(
            f"no host named {unknown[0]!r}", where="hosts", fix=f"known: {', '.join(sorted(wanted))}"
        )
