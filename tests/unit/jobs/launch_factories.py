"""Projects, hosts and launches for the tests of kit.jobs; override by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from kit.host.facts import Gpu, HostFacts
from kit.jobs.launch import LaunchContext, ModelSource, ServedEndpoint
from kit.jobs.make_launch import make_launch
from kit.project.job_model import ApiJob, ProxyJob, ServeJob
from kit.project.load import parse_project
from kit.run.access import secret_paths
from tests.factories import project_document

if TYPE_CHECKING:
    from kit.jobs.launch import HostLaunch, Launch
    from kit.project.model import Project

RUN_ID = "20260101-120000-ab12"


def host_facts(host: str, address: str, **overrides: Any) -> HostFacts:
    values: dict[str, Any] = {
        "host": host,
        "hostname": host,
        "uid": 1001,
        "gid": 1002,
        "docker_gid": 998,
        "cores": 8,
        "memory_bytes": 64 << 30,
        "root": "/aisys/kit",
        "root_writable": True,
        "free_bytes": 1 << 40,
        "engine_version": "20.10.24",
        "engine_error": "",
        "engine_free_bytes": None,
        "containerd_store": False,
        "compose": ("docker-compose",),
        "compose_version": "1.29.2",
        "nvidia_runtime": False,
        "driver_version": None,
        "gpus": (),
        "clock": 0.0,
        "clock_offset": 0.0,
        "resolves_to_loopback": False,
        "interfaces": (("docker0", "172.17.0.1"), ("eth1", address), ("eth9", "192.168.9.9")),
        "listening": (),
        "shm_bytes": 64 << 20,
    }
    return HostFacts(**(values | overrides))


def gpus(count: int) -> tuple[Gpu, ...]:
    return tuple(Gpu(i, f"GPU-{i:08x}", "NVIDIA L20", 48 << 30) for i in range(count))


def document(job: dict[str, Any] | None = None, *, name: str = "train", **overrides: Any) -> dict[str, Any]:
    """The usual kit.yaml, with keys of one job (None removes) and of the top level changed."""
    made = project_document(**overrides)
    for key, value in (job or {}).items():
        made["jobs"][name][key] = value
    return made


def gpu_document(job: dict[str, Any] | None = None, *, name: str = "train", **host: Any) -> dict[str, Any]:
    """The same on stack cu126, two hosts of four GPUs."""
    hosts = {f"gpu{i}": {"address": f"10.0.0.1{i}", "user": "ops", "gpus": 4, **host} for i in (1, 2)}
    images = ["train", "serve", "serve-sglang", "data"]
    return document(job, name=name, stack="cu126", hosts=hosts, images=images)


def context_of(project: Project, **facts: Any) -> LaunchContext:
    return LaunchContext(
        images={str(image): f"kit.invalid/{image}:0123456789ab" for image in project.images},
        facts={host: host_facts(host, spec.address, **facts) for host, spec in project.hosts.items()},
        sources={
            name: ModelSource(name, f"/aisys/kit/runs/{name}/20251231-000000-0000/out")
            for name in project.jobs
        },
        secrets={
            path: f"what stands in {path}" for name in project.jobs for path in secret_paths(project, name)
        },
        endpoints={
            name: ServedEndpoint(job.hosts[0], job.port, job.bind)
            for name, job in project.jobs.items()
            if isinstance(job, ServeJob | ApiJob | ProxyJob)
        },
    )


def launch_of(made: dict[str, Any], job: str = "train", **facts: Any) -> Launch:
    project = parse_project(made)
    return make_launch(project, job, RUN_ID, context_of(project, **facts))


def file_of(share: HostLaunch, path: str) -> str:
    return next(file.content for file in share.files if file.path == path)


def service_of(share: HostLaunch) -> dict[str, Any]:
    """The compose service, as YAML parses it."""
    service: dict[str, Any] = yaml.safe_load(file_of(share, "compose.yaml"))["services"][share.service]
    return service


def undoubled(value: Any) -> Any:
    """What compose makes of `$$`."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    return [undoubled(item) for item in value] if isinstance(value, list) else value


def words_of(share: HostLaunch) -> list[str]:
    """The container's words, as compose hands them to the engine."""
    service = service_of(share)
    words: list[str] = undoubled(service["entrypoint"] + service["command"])
    return words
