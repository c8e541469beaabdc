"""What the launches of all kinds share: one host's container and its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.jobs.compose import FILE, Service, compose_yaml
from kit.jobs.launch import HostLaunch, LaunchFile
from kit.jobs.places import MODELS, RUN, Mount, plain_path, project_name, run_folder
from kit.project.references import image_of

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.jobs.gpus import GpuRequest
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import Job
    from kit.project.model import HostSpec, Project

_HOSTNAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Place:
    """A job about to be launched on one host."""

    project: Project
    name: str
    run_id: str
    host: str
    context: LaunchContext

    @property
    def job(self) -> Job:
        """The job, as kit.yaml has it."""
        return self.project.jobs[self.name]

    @property
    def spec(self) -> HostSpec:
        """The host, as kit.yaml has it."""
        return self.project.hosts[self.host]

    @property
    def facts(self) -> HostFacts:
        """The host, as it was found."""
        return self.context.facts[self.host]

    @property
    def image(self) -> str:
        """Identity tag of the job's image."""
        return self.context.images[image_of(self.project, self.name)]

    @property
    def run_folder(self) -> str:
        """The run's folder on the host."""
        return run_folder(self.spec, self.name, self.run_id)

    @property
    def compose_project(self) -> str:
        """Name of the compose project, and of its container."""
        return project_name(self.name, self.host, self.facts, self.spec.root)

    def made_by(self, job: str) -> str:
        """Return the folder on this host with what an earlier job made. Raises ConfigError without a run."""
        source = self.context.sources.get(job)
        if source is None:
            raise ConfigError(
                f"job {job!r} has not made anything yet", where=f"jobs.{self.name}", fix=f"kit up {job}"
            )
        return plain_path(source.at(self.host), f"what {job} made")

    def adapter_of(self, job: str, model: str, key: str = "from") -> str:
        """Return the folder on this host with the adapter that a train job, named by a key, made for a model.

        Raises ConfigError without a run, and for an adapter of another model.
        """
        folder = self.made_by(job)
        shape = self.context.sources[job].adapter
        if shape is not None and shape.model != f"{MODELS}/{model}":
            raise ConfigError(
                f"the newest adapter of {job} is one for {shape.model.removeprefix(MODELS + '/')!r}",
                where=f"jobs.{self.name}.{key}",
                why=f"it was made before jobs.{job}.model became {model!r}",
                fix=f"kit up {job}",
            )
        return folder


@dataclass(frozen=True, slots=True)
class Work:
    """What the container of a place does."""

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...] = ()
    """Beside the run's own folder."""
    gpus: GpuRequest | None = None
    port: int | None = None
    """Where the ranks of a training meet, when they meet on this host."""
    names: tuple[tuple[str, str], ...] = ()
    """Host names and addresses that its hosts file shall know, beside what the host's own says."""


def service_of(place: Place, work: Work) -> Service:
    """Return the compose service for a place, run by the login user."""
    return Service(
        name=place.job.kind,
        image=place.image,
        container_name=place.compose_project,
        user=f"{place.facts.uid}:{place.facts.gid}",
        command=work.command,
        environment=work.environment,
        mounts=(Mount(place.run_folder, RUN, read_only=False), *work.mounts),
        labels=(*labels_of(place), *_held(work)),
        gpus=work.gpus,
        extra_hosts=tuple((name, address) for name, address in work.names if _HOSTNAME.match(name)),
    )


def labels_of(place: Place) -> tuple[tuple[str, str], ...]:
    """Return the labels by which kit finds its containers again."""
    return (("kit.host", place.host), ("kit.job", place.name), ("kit.run", place.run_id))


def _held(work: Work) -> tuple[tuple[str, str], ...]:
    """Return the labels by which other jobs see what this one holds (`kit.host.facts.Held`)."""
    gpus = (("kit.gpus", ",".join(work.gpus.ids)),) if work.gpus and work.gpus.ids else ()
    return (*gpus, ("kit.port", str(work.port))) if work.port is not None else gpus


def host_launch(
    place: Place,
    service: Service,
    files: tuple[LaunchFile, ...],
    folders: tuple[str, ...],
    kept: tuple[str, ...] = (),
) -> HostLaunch:
    """Return one host's share of a launch; compose.yaml comes last in it."""
    compose = LaunchFile(FILE, compose_yaml(place.job.kind, service))
    return HostLaunch(
        host=place.host,
        run_folder=place.run_folder,
        compose_project=place.compose_project,
        service=service.name,
        image_tag=place.image,
        folders=folders,
        files=(*files, compose),
        kept=kept,
    )
