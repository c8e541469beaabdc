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
from kit.run import commands
from kit.run.endpoint import Endpoint, reachable_address
from kit.run.fleet import open_hosts
from kit.run.machine import make_machine
from kit.run.needs import find_job
from kit.run.seen_run import seen_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox
    from kit.run.record import RunRecord


_SCREEN = 20
"""Lines of a chat that are shown to whoever joins it."""


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


def join_chat(loaded: LoadedProject, job_name: str, toolbox: Toolbox, show: Callable[[str], None]) -> int:
    """Join this terminal to a running chat until its user leaves; return the status of what joined them.

    `show` gets what stands on the chat's screen. Raises JobError when it does not run, UnreachableError.
    """
    host = hosts_of(loaded.project, job_name)[0]
    with open_hosts(loaded, (host,), toolbox.connect) as hosts:
        machine = make_machine(hosts[host], loaded.project.hosts[host], toolbox)
        container = _running(machine, job_name).compose_project
        # What was asked last stands in its log; whoever joins sees nothing that came before.
        show(machine.run(commands.container_log(machine.facts, container, _SCREEN)).text)
        return machine.host.join(commands.attach(machine.facts, container))


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
        if run.runs:
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
