"""A serve job: an OpenAI-compatible endpoint, on one host or, for a model that is too large, over several.

The container uses the host's network and listens on `bind`, the loopback unless told otherwise. Whether
it truly answers is found out by asking it for one token, not by compose: vLLM 0.8.5's /health says
200 while its engine hangs.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, cast

from kit.errors import ConfigError
from kit.jobs.adapters import adapter_words
from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.holdings import place_gpus
from kit.jobs.launch import Launch
from kit.jobs.network import socket_environment, training_routes
from kit.jobs.places import ADAPTERS, MODELS, Mount, model_folder, plain_path
from kit.jobs.secrets import serve_files, tls_words, with_key
from kit.jobs.serve_flags import serve_words
from kit.jobs.serve_hosts import gpus_each, spread_command, spread_files, spread_flags
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.versions import has_gpus, pinned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.gpus import GpuRequest
    from kit.jobs.launch import HostLaunch, LaunchContext
    from kit.jobs.network import Route
    from kit.project.job_model import ServeJob
    from kit.project.model import Project

_SERVED_NAME = re.compile(r"^[A-Za-z0-9][\w.:/@-]*$", re.ASCII)


def serve_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of a serve job. Raises ConfigError or UnfitError."""
    job = cast("ServeJob", project.jobs[name])
    served = job.served_name or job.model
    check_names(name, job.bind, served)
    pinned(project, job.engine, f"jobs.{name}.engine")
    each = gpus_each(project, name, job)
    routes = training_routes(project, job.hosts, context)
    places = tuple(Place(project, name, run_id, host, context) for host in job.hosts)
    return Launch(
        job=name,
        kind=job.kind,
        run_id=run_id,
        hosts=tuple(_share(place, job, each, routes) for place in places),
        rank_zero=job.hosts[0],
        endpoint_port=job.port,
        endpoint_bind=job.bind,
        served_name=served,
        adapters=job.adapters,
        endpoint_tls=job.tls is not None,
    )


def _share(place: Place, job: ServeJob, each: int, routes: Mapping[str, Route]) -> HostLaunch:
    """Return one host's share; keys and certificates are for the first one, which has the endpoint."""
    name, host, first = place.name, place.host, place.host == job.hosts[0]
    gpus = _gpus(place, each)
    words = _words(place, job, gpus, spread_flags(job, host, routes))
    secrets = serve_files(name, job, place.context)
    work = Work(
        command=spread_command(job, host, routes, with_key(job, words) if first else words, each),
        environment=merge_environment(name, _environment(place, job, gpus, routes[host]), job.env),
        mounts=(
            Mount(_model_source(place, job.model), f"{MODELS}/{job.model}"),
            *(Mount(place.made_by(adapter), f"{ADAPTERS}/{adapter}") for adapter in job.adapters),
        ),
        gpus=gpus,
        names=tuple((place.context.facts[other].hostname, routes[other].address) for other in job.hosts),
    )
    files = (*spread_files(job), *(secrets if first else ()))
    return host_launch(place, service_of(place, work), files, FOLDERS)


def _words(place: Place, job: ServeJob, gpus: GpuRequest | None, spread: tuple[str, ...]) -> tuple[str, ...]:
    name, model = place.name, f"{MODELS}/{job.model}"
    version = pinned(place.project, job.engine, f"jobs.{name}.engine")
    more = (*spread, *tls_words(job), *adapter_words(place.project, name, version, place.context.sources))
    if gpus and not place.spec.p2p:
        more += ("--disable-custom-all-reduce",)
    return serve_words(name, job, version, model, gpus=gpus is not None, more=more)


def check_names(name: str, bind: str, served: str) -> None:
    """Raise ConfigError unless `bind` is an IP address and `served` a name for requests."""
    check_bind(name, bind)
    if not _SERVED_NAME.match(served):
        raise ConfigError(
            f"{served!r} is no name for requests",
            where=f"jobs.{name}.served_name",
            fix="letters, digits, '.', '_', ':', '/', '@' and '-'",
        )


def check_bind(name: str, bind: str) -> None:
    """Raise ConfigError unless `bind` is an IP address."""
    try:
        ipaddress.ip_address(bind)
    except ValueError as error:
        raise ConfigError(
            f"{bind!r} is no IP address",
            where=f"jobs.{name}.bind",
            fix="127.0.0.1, or 0.0.0.0 for the whole intranet",
        ) from error


def _model_source(place: Place, model: str) -> str:
    if model in place.project.models:
        return plain_path(model_folder(place.spec, model), f"model {model}")
    return place.made_by(model)


def _gpus(place: Place, needed: int) -> GpuRequest | None:
    if has_gpus(place.project):
        return place_gpus(place, needed)
    if needed > place.facts.cores:
        raise ConfigError(
            f"{needed} workers on {place.facts.cores} cores",
            where=f"jobs.{place.name}.tensor_parallel",
            fix=f"tensor_parallel: {place.facts.cores} or less",
        )
    return None


def _environment(place: Place, job: ServeJob, gpus: GpuRequest | None, route: Route) -> dict[str, str]:
    # Workers of one host talk over its loopback; vLLM otherwise looks for a way to 8.8.8.8.
    ours = {"VLLM_HOST_IP": route.address, **socket_environment(route)}
    if gpus is None:
        return ours | _cpu_environment(place.facts.cores, job.tensor_parallel)
    ours["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    return ours if place.spec.p2p else {**ours, "NCCL_P2P_DISABLE": "1"}


def _cpu_environment(cores: int, workers: int) -> dict[str, str]:
    ours = {"CUDA_VISIBLE_DEVICES": "", "VLLM_CPU_KVCACHE_SPACE": "2"}
    if workers > 1:
        # Left alone, vLLM gives each worker a NUMA node of its own, and most machines have one.
        each = cores // workers
        ranges = (range(i * each, (i + 1) * each) for i in range(workers))
        ours["VLLM_CPU_OMP_THREADS_BIND"] = "|".join(",".join(map(str, cpus)) for cpus in ranges)
    return ours
