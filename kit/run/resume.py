"""Going on from a checkpoint: asking the hosts for theirs, and laying one out for the run that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.bundle.manifest import File
from kit.errors import ConfigError
from kit.jobs.gpus import gpu_count
from kit.jobs.launch import ModelSource, ResumePoint
from kit.jobs.versions import has_gpus
from kit.project.job_model import TrainJob
from kit.run.checkpoint_files import checkpoint_name
from kit.run.choose_checkpoint import choose_checkpoint, found_checkpoints
from kit.run.fleet import each
from kit.run.read_across import read_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.progress import Progress
    from kit.project.model import HostSpec, Project
    from kit.run.choose_checkpoint import Resume
    from kit.run.machine import Machine
    from kit.run.prepare import Prepared


def seek_checkpoint(project: Project, name: str, machines: Mapping[str, Machine]) -> Resume:
    """Return what a training goes on from.

    Raises ConfigError for a job that cannot, UnfitError when there is no whole checkpoint on its hosts.
    """
    job = project.jobs[name]
    if not isinstance(job, TrainJob):
        raise ConfigError(
            f"a job of kind {job.kind} has no checkpoints", where="--resume", fix="leave it out"
        )
    listings = each(tuple(machines), lambda host: machines[host].ask("checkpoints", job=name)["runs"])
    return choose_checkpoint(name, job, found_checkpoints(listings), ranks_of(project, job))


def ranks_of(project: Project, job: TrainJob) -> dict[str, tuple[int, ...]]:
    """Return host → its ranks. Pure."""
    found, first = {}, 0
    for host in job.hosts:
        count = _processes(job, project.hosts[host]) if has_gpus(project) else 1
        found[host] = tuple(range(first, first + count))
        first += count
    return found


def _processes(job: TrainJob, spec: HostSpec) -> int:
    if isinstance(job.gpus, str):
        return len(job.gpus.split(","))
    return gpu_count(spec) if job.gpus is None else job.gpus


def resume_point(resume: Resume) -> ResumePoint:
    """Return the same as a launch needs it."""
    return ResumePoint(checkpoint_name(resume.step), adapter_only=resume.adapter_only)


def resumed_sources(
    job: str, resume: Resume | None, machines: Mapping[str, Machine]
) -> dict[str, ModelSource]:
    """Return the checkpoint as one of a run's inputs, for its record. Pure."""
    if resume is None:
        return {}
    path = f"runs/{job}/{resume.run_id}/out/{checkpoint_name(resume.step)}"
    places = tuple((host, f"{machine.spec.root}/{path}") for host, machine in machines.items())
    return {job: ModelSource(job, places[0][1], places)}


def resume_notes(resume: Resume | None) -> tuple[str, ...]:
    """Return what to say about what a training goes on from. Pure."""
    if resume is None:
        return ()
    said = f"goes on from {checkpoint_name(resume.step)} of run {resume.run_id}"
    return (f"{said}; {resume.note}" if resume.note else said,)


def place_checkpoint(prepared: Prepared, progress: Progress) -> None:
    """Lay the checkpoint out on every host; what one lacks comes from the one that has it, proven by sha256.

    Raises what the hosts raise.
    """
    resume = prepared.resume
    if resume is None:
        return
    progress.start(task := f"lay out {checkpoint_name(resume.step)} of run {resume.run_id}")
    each(tuple(resume.needs), lambda host: _place(prepared, resume, host))
    progress.finish(task)


def _place(prepared: Prepared, resume: Resume, host: str) -> None:
    launch, machine, needs = prepared.launch, prepared.machines[host], resume.needs[host]
    own = [path for path, holder in needs.items() if holder == host]
    asked: dict[str, Any] = {"job": launch.job, "run_id": launch.run_id, "step": resume.step}
    machine.ask("link_checkpoint", **asked, source=resume.run_id, paths=own)
    for holder in dict.fromkeys(holder for holder in needs.values() if holder != host):
        paths = [path for path, has in needs.items() if has == holder]
        source = prepared.machines[holder]
        hashed = source.ask(
            "hash_checkpoint", job=launch.job, run_id=resume.run_id, step=resume.step, paths=paths
        )
        files = tuple(File(file["path"], file["digest"], file["size"]) for file in hashed["files"])
        folder = f"runs/{launch.job}/{resume.run_id}/out/{checkpoint_name(resume.step)}"
        chunks = read_files(source, machine, folder, files)
        machine.feed("take_checkpoint", chunks, **asked, files=hashed["files"])
