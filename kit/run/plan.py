"""What `kit up` would do, as values to show. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.host.facts import HostFacts
from kit.jobs.launch import LaunchContext, ModelSource
from kit.jobs.make_launch import make_launch
from kit.project.references import image_of
from kit.run import commands
from kit.run.access import secret_paths
from kit.run.carry import carried_folder
from kit.run.find_endpoints import assumed_endpoints
from kit.run.needs import made_on, makers_of
from kit.run.prepare import job_hosts
from kit.run.redact import HIDDEN, redact_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import Manifest
    from kit.jobs.launch import HostLaunch, Launch, LaunchFile
    from kit.project.model import HostSpec, Project

OFFLINE_RUN = "run"
"""Stands for the run's name in a plan that is made without hosts."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that would be written, secrets hidden."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class PlannedHost:
    """What would happen on one host."""

    host: str
    run_folder: str
    image_tag: str
    commands: tuple[str, ...]
    """Shell lines, for people to read."""
    files: tuple[PlannedFile, ...]


@dataclass(frozen=True, slots=True)
class OfflinePlan:
    """A plan that was made without asking a host."""

    job: str
    plan: tuple[PlannedHost, ...]


def _line(words: tuple[str, ...]) -> str:
    import shlex

    return " ".join(map(shlex.quote, words))


def planned_host(share: HostLaunch, facts: HostFacts) -> PlannedHost:
    """Return what would happen on a host. Raises UnfitError when it has no compose."""
    start = commands.compose(facts, share.compose_project, share.run_folder, *commands.UP)
    return PlannedHost(
        host=share.host,
        run_folder=share.run_folder,
        image_tag=share.image_tag,
        commands=(_line(start),),
        files=tuple(_planned_file(file) for file in share.files),
    )


def _planned_file(file: LaunchFile) -> PlannedFile:
    shown = f"{HIDDEN}\n" if file.is_secret else redact_file(file.path, file.content)
    return PlannedFile(file.path, shown)


def plan_of(launch: Launch, facts: Mapping[str, HostFacts]) -> tuple[PlannedHost, ...]:
    """Return what would happen on every host of a launch."""
    return tuple(planned_host(share, facts[share.host]) for share in launch.hosts)


def plan_without_hosts(project: Project, job: str, manifest: Manifest | None) -> tuple[PlannedHost, ...]:
    """Return the plan for hosts that are taken to be as kit.yaml says, none of them being asked.

    Without a bundle, images bear a name in place of their identity. Raises ConfigError or UnfitError.
    """
    hosts = job_hosts(project, job)
    facts = {host: assumed_facts(host, project.hosts[host]) for host in hosts}
    image = image_of(project, job)
    tags = {image: f"kit.invalid/{image}:not-packed-yet"}
    if manifest is not None:
        tags = {image.name: image.identity_tag for image in manifest.images}
    sources = {maker: _assumed_source(project, maker, hosts) for maker in makers_of(project, job)}
    # Nobody sees secrets in a plan, so nobody need read them.
    secrets = dict.fromkeys(secret_paths(project, job), HIDDEN)
    endpoints = assumed_endpoints(project, job)
    context = LaunchContext(tags, facts, sources, endpoints=endpoints, secrets=secrets)
    launch = make_launch(project, job, OFFLINE_RUN, context)
    return plan_of(launch, facts)


def _assumed_source(project: Project, maker: str, hosts: tuple[str, ...]) -> ModelSource:
    home, roots = made_on(project, maker), {host: project.hosts[host].root for host in hosts}
    made = {host: f"{root}/runs/{maker}/{OFFLINE_RUN}/out" for host, root in roots.items()}
    brought = {host: carried_folder(root, maker, OFFLINE_RUN) for host, root in roots.items()}
    places = tuple((host, made[host] if host == home else brought[host]) for host in hosts)
    return ModelSource(maker, places[0][1], places)


def assumed_facts(host: str, spec: HostSpec) -> HostFacts:
    """Return the facts of a host that nobody asked: fit, and as kit.yaml describes it."""
    return HostFacts(
        host=host,
        hostname=host,
        uid=1000,
        gid=1000,
        docker_gid=999,
        cores=64,
        memory_bytes=1 << 40,
        root=spec.root,
        root_writable=True,
        free_bytes=1 << 42,
        engine_version="20.10",
        engine_error="",
        engine_free_bytes=1 << 42,
        containerd_store=False,
        compose=("docker", "compose"),
        compose_version="2.26",
        nvidia_runtime=True,
        driver_version=None,
        gpus=(),
        clock=0.0,
        clock_offset=0.0,
        resolves_to_loopback=False,
        interfaces=((spec.nic or "eth0", spec.address),),
        listening=(),
        shm_bytes=1 << 36,
    )
