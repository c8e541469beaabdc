"""Elastic rendezvous: hosts meet through torchrun's c10d backend, and those that are left begin again.

LLaMA-Factory hands RDZV_ID, MIN_NNODES, MAX_NNODES and MAX_RESTARTS on to torchrun. The ranks that are left
after a failure begin where the run began; nothing else is safe: hosts need not have saved the same last step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.network import Route
    from kit.project.job_model import TrainJob


def check_elastic(name: str, job: TrainJob, routes: Mapping[str, Route]) -> None:
    """Raise ConfigError when a training cannot lose hosts in the way that it asks for."""
    if job.elastic is None:
        return
    key, hosts = f"jobs.{name}.elastic", len(job.hosts)
    if hosts == 1:
        raise ConfigError("one host alone has no other to go on with", where=key, fix=f"remove {key}")
    if job.elastic.min_hosts > hosts:
        raise ConfigError(
            f"{job.elastic.min_hosts} hosts are the fewest, and the job has {hosts}",
            where=f"{key}.min_hosts",
            fix=f"min_hosts: {hosts} or fewer",
        )
    # torch/distributed/elastic/rendezvous/dynamic_rendezvous.py: ranks follow the addresses, as text.
    lowest = min(job.hosts, key=lambda host: routes[host].address)
    if lowest != job.hosts[0]:
        raise ConfigError(
            f"{job.hosts[0]} would not gather what is learned",
            where=f"jobs.{name}.hosts",
            why=f"an elastic torchrun gives rank 0 to the first address as text sorts, {lowest}'s",
            fix=f"name {lowest} first",
        )


def elastic_environment(job: TrainJob, run_id: str) -> dict[str, str]:
    """Return the variables that LLaMA-Factory's launcher reads; none for a job that may lose no host."""
    if job.elastic is None:
        return {}
    return {
        "RDZV_ID": run_id,
        "MIN_NNODES": str(job.elastic.min_hosts),
        "MAX_NNODES": str(len(job.hosts)),
        "MAX_RESTARTS": str(job.elastic.restarts),
    }


def hosts_to_lose(job: TrainJob) -> int:
    """Return how many hosts may fail before the training does."""
    return len(job.hosts) - job.elastic.min_hosts if job.elastic else 0
