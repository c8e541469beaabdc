"""One model over several hosts: vLLM's workers in a Ray cluster, SGLang's nodes as it knows them. Pure.

The first host has the endpoint. Each gives the same number of GPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.held_packages import held_packages
from kit.jobs.launch import LaunchFile
from kit.jobs.places import RUN
from kit.jobs.serve_flags import gpus_needed
from kit.jobs.versions import has_gpus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.network import Route
    from kit.project.job_model import ServeJob
    from kit.project.model import Project

NODE = "ray_node.py"


def gpus_each(project: Project, name: str, job: ServeJob) -> int:
    """Return how many GPUs (or CPU workers) each of a job's hosts gives.

    Raises ConfigError when the model cannot be spread over these hosts.
    """
    count, needed = len(job.hosts), gpus_needed(job)
    if count == 1:
        return needed
    where = f"jobs.{name}.hosts"
    if not has_gpus(project):
        raise ConfigError(
            "on CPUs a model is served by one host", where=where, fix=f"hosts: [{job.hosts[0]}]"
        )
    if needed % count:
        raise ConfigError(
            f"{needed} GPUs do not spread evenly over {count} hosts",
            where=where,
            why="tensor_parallel times pipeline_parallel is the number of GPUs of all hosts",
            fix="e.g. tensor_parallel: the GPUs of a host, pipeline_parallel: the number of hosts",
        )
    if job.engine == "vllm" and "ray" not in held_packages(project, name):
        raise ConfigError(
            "vLLM needs Ray for several hosts, and the image has none",
            where=where,
            fix="packages: {serve: [ray==VERSION]}, or one host",
        )
    return needed // count


def spread_flags(job: ServeJob, host: str, routes: Mapping[str, Route]) -> tuple[str, ...]:
    """Return the engine's words for its part of a model over several hosts; none for one host."""
    if len(job.hosts) == 1:
        return ()
    if job.engine == "vllm":
        return ("--distributed-executor-backend=ray",)
    meeting = f"{routes[job.hosts[0]].address}:{job.cluster_port}"
    rank = job.hosts.index(host)
    return (f"--nnodes={len(job.hosts)}", f"--node-rank={rank}", f"--dist-init-addr={meeting}")


def spread_command(
    job: ServeJob, host: str, routes: Mapping[str, Route], words: tuple[str, ...], gpus: int
) -> tuple[str, ...]:
    """Return the command of a host's container, `words` being the engine's own; `gpus` are this host's."""
    if len(job.hosts) == 1 or job.engine == "sglang":
        return words
    first = routes[job.hosts[0]].address
    node = ("python3", f"{RUN}/{NODE}")
    if host == job.hosts[0]:
        return (*node, "head", first, str(job.cluster_port), str(gpus), str(gpus * len(job.hosts)), *words)
    return (*node, "worker", first, str(job.cluster_port), routes[host].address, str(gpus))


def spread_files(job: ServeJob) -> tuple[LaunchFile, ...]:
    """Return the files that the command needs."""
    if len(job.hosts) == 1 or job.engine == "sglang":
        return ()
    return (LaunchFile(NODE, (data_folder("templates") / "serve" / NODE).read_text(encoding="utf-8")),)
