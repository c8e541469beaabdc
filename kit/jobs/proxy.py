"""A proxy job: HAProxy on one host, in front of serve jobs that serve the same model.

It sends a request to the replica with the fewest under way, passes by those whose /health does not say 200,
and asks another one when a replica goes away before it answered. What has begun cannot be had again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from kit.errors import ConfigError
from kit.jobs.environment import merge_environment
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.places import RUN
from kit.jobs.render import render
from kit.jobs.secrets import BOTH, proxy_files
from kit.jobs.serve import check_names
from kit.jobs.share import Place, Work, host_launch, service_of

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import ProxyJob, ServeJob
    from kit.project.model import Project

FILE = "haproxy.cfg"
_ADDRESS = re.compile(r"[A-Za-z0-9.:_-]+")
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - no binding here


def proxy_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of a proxy job. Raises ConfigError."""
    place = Place(project, name, run_id, project.jobs[name].hosts[0], context)
    job = cast("ProxyJob", place.job)
    first = cast("ServeJob", project.jobs[job.to[0]])
    served = first.served_name or first.model
    check_names(name, job.bind, served)
    work = Work(
        command=("haproxy", "-db", "-f", f"{RUN}/{FILE}"),
        environment=merge_environment(name, {}, job.env),
    )
    files = (LaunchFile(FILE, haproxy_config(project, name)), *proxy_files(job.tls, context))
    return Launch(
        job=name,
        kind=job.kind,
        run_id=run_id,
        hosts=(host_launch(place, service_of(place, work), files, ("logs",)),),
        rank_zero=place.host,
        endpoint_port=job.port,
        endpoint_bind=job.bind,
        endpoint_tls=job.tls is not None,
        served_name=served,
        adapters=_everywhere(project, job),
    )


def _everywhere(project: Project, job: ProxyJob) -> tuple[str, ...]:
    """Return the adapters that every replica serves."""
    served = [cast("ServeJob", project.jobs[name]).adapters for name in job.to]
    return tuple(adapter for adapter in served[0] if all(adapter in other for other in served))


def haproxy_config(project: Project, name: str) -> str:
    """Return HAProxy's configuration for a proxy job. Raises ConfigError for an address it cannot have."""
    job = cast("ProxyJob", project.jobs[name])
    servers = [{"name": replica, "address": _address(project, name, replica)} for replica in job.to]
    values = {
        "job": name,
        "bind": _with_port(job.bind, job.port),
        "certificate": f"{RUN}/{BOTH}" if job.tls else "",
        "servers": servers,
    }
    return render("proxy/haproxy.cfg.j2", values)


def _address(project: Project, name: str, replica: str) -> str:
    serve = cast("ServeJob", project.jobs[replica])
    host = serve.hosts[0]
    if host == project.jobs[name].hosts[0]:
        return _with_port(_ANY.get(serve.bind, serve.bind), serve.port)
    address = project.hosts[host].address
    if address == "local" or not _ADDRESS.fullmatch(address):
        raise ConfigError(
            f"{name} runs on another host than {replica} and needs an address to reach it by",
            where=f"hosts.{host}.address",
            why=f"it is {address!r}",
            fix="write the address that the other hosts know it by",
        )
    return _with_port(address, serve.port)


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
