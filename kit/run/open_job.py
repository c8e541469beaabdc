"""`kit open`: a way from this machine to what a job listens with on its host."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kit.errors import ConfigError, JobError
from kit.host.connect import LOCAL
from kit.host.tunnel import HERE, Tunnel
from kit.project.references import hosts_of
from kit.run.endpoint import Endpoint, reachable_address
from kit.run.fleet import open_hosts
from kit.run.machine import make_machine
from kit.run.needs import find_job
from kit.run.seen_run import seen_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox
    from kit.run.record import RunRecord


@dataclass(frozen=True, slots=True)
class Opened:
    """A way that is open."""

    job: str
    kind: str
    run_id: str
    host: str
    remote: str
    """`ADDRESS:PORT` on the host."""
    url: str
    """For a browser, or a client, on this machine."""
    served_name: str | None


@contextmanager
def open_job(
    loaded: LoadedProject, job_name: str, toolbox: Toolbox, port: int = 0
) -> Iterator[tuple[Opened, Tunnel | None]]:
    """Yield the way to a running job, and the tunnel to run; no tunnel when it runs on this machine.

    Raises ConfigError for a job that listens nowhere, JobError when it does not run, UnfitError when the
    host's sshd lets nobody through, UnreachableError.
    """
    host = _host_of(loaded, job_name)
    spec = loaded.project.hosts[host]
    with open_hosts(loaded, (host,), toolbox.connect) as hosts:
        machine = make_machine(hosts[host], spec, toolbox)
        record = _running(machine, job_name)
        address, remote_port = reachable_address(record.endpoint_bind), record.endpoint_port or 0
        if spec.address == LOCAL:
            _check_no_port(job_name, port)
            yield _opened(record, address, remote_port), None
            return
        dial = partial(machine.host.dial, address, remote_port)
        # Whether it can be reached is told now, and not by a browser later.
        dial().close()
        with closing(Tunnel(dial, port, preferred=remote_port)) as tunnel:
            yield _opened(record, HERE, tunnel.port), tunnel


def _host_of(loaded: LoadedProject, name: str) -> str:
    job = find_job(loaded.project, name)
    host = hosts_of(loaded.project, name)[0]
    if not hasattr(job, "bind"):
        listening = [other for other, found in loaded.project.jobs.items() if hasattr(found, "bind")]
        raise ConfigError(
            f"{name} is a {job.kind} job and has nothing to open",
            where=f"jobs.{name}",
            fix=f"kit open {listening[0]}" if listening else "kit logs shows what it does",
        )
    return host


def _running(machine: Machine, job: str) -> RunRecord:
    for run in seen_runs(machine.ask("runs", job=job)["runs"], machine.name):
        if run.runs and run.record.endpoint_port is not None:
            return run.record
    raise JobError(f"{job} does not run", where=machine.name, fix=f"kit up {job}")


def _check_no_port(job: str, port: int) -> None:
    if port:
        raise ConfigError(
            "it runs on this machine, at a port of its own",
            where="--port",
            fix=f"leave --port out, or give jobs.{job}.port another number",
        )


def _opened(record: RunRecord, address: str, port: int) -> Opened:
    bound = reachable_address(record.endpoint_bind)
    remote = Endpoint(bound, record.endpoint_port or 0, tls=record.endpoint_tls).url
    return Opened(
        job=record.job,
        kind=record.kind,
        run_id=record.run_id,
        host=record.host,
        remote=remote.partition("://")[2],
        url=Endpoint(address, port, tls=record.endpoint_tls).url,
        served_name=record.served_name or None,
    )
