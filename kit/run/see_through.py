"""Seeing a train or export job through to its end, and recording that end on every host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import JobError, UnreachableError
from kit.run import commands
from kit.run.fleet import each, try_each
from kit.run.record import FAILED, RunRecord, record_of
from kit.run.start_run import take_down
from kit.run.watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kit.jobs.launch import HostLaunch, Launch
    from kit.progress import Progress
    from kit.run.machine import Machine
    from kit.run.watch import Clock, Ended

OUT_OF_MEMORY_CODE = 137
"""128 + SIGKILL: what is left of a process that the kernel killed, for want of memory as a rule."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The end of a run on one host."""

    record: RunRecord
    last_lines: tuple[str, ...]
    """Of a failed one: what its log ends with."""


def see_to_its_end(
    launch: Launch, machines: Mapping[str, Machine], progress: Progress, clock: Clock
) -> dict[str, RunRecord]:
    """Return host → record once all have succeeded.

    Raises JobError when a container failed, after the others were stopped; UnreachableError when a
    host is lost, while the job goes on; KeyboardInterrupt that says so, too.
    """
    try:
        ended = watch(launch, machines, progress, clock)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_goes_on(launch.job)) from None
    except UnreachableError as error:
        fix = f"kit status; then kit logs {launch.job} -f, or kit down {launch.job}"
        raise UnreachableError(
            f"{error.what}; {launch.job} goes on without being watched",
            where=error.where,
            why=error.why,
            fix=fix,
        ) from error
    if ended.failed is not None:
        raise _fail(launch, machines, ended, progress)
    for host, state in ended.states.items():
        if state is None or not state.succeeded:
            progress.note(
                f"{host} failed on the way, and the others went on: kit logs {launch.job} --host {host}"
            )
    recorded = each(
        tuple(machines), lambda host: record_end(machines[host], launch.job, launch.run_id, progress)
    )
    take_down(machines, {share.host: share for share in launch.hosts})
    return {host: found.record for host, found in recorded.items()}


def _goes_on(job: str) -> str:
    ways = f"kit logs {job} -f shows it, kit status tells how it stands, kit down {job} ends it"
    return f"{job} goes on on its hosts; {ways}"


def _stop(machine: Machine, share: HostLaunch) -> None:
    machine.run(commands.stop(machine.facts, share.compose_project))


def _fail(launch: Launch, machines: Mapping[str, Machine], ended: Ended, progress: Progress) -> JobError:
    shares = {share.host: share for share in launch.hosts}
    try_each(tuple(shares), lambda host: _stop(machines[host], shares[host]))
    recorded, _ = try_each(
        tuple(shares),
        lambda host: record_end(machines[host], launch.job, launch.run_id, progress, FAILED),
    )
    take_down(machines, shares)
    return job_error(launch.job, ended, recorded)


def job_error(job: str, ended: Ended, recorded: Mapping[str, Recorded]) -> JobError:
    """Return the error that tells why a run failed: host, exit code, memory, its last lines. Pure."""
    host = ended.failed or ""
    state = ended.states[host]
    lines = recorded[host].last_lines if host in recorded else ()
    if state is None:
        ending = "its container is gone; somebody removed it"
    else:
        ending = f"exit code {state.exit_code}"
        if state.error:
            ending += f", {state.error}"
        if state.out_of_memory:
            ending += ", out of memory (the kernel killed it)"
        elif state.exit_code == OUT_OF_MEMORY_CODE:
            ending += ", killed (often for want of memory: dmesg on the host tells)"
    shown = "".join(f"\n  | {line}" for line in lines)
    others = [other for other in ended.states if other != host]
    stopped = f"; stopped on {', '.join(others)} too" if others else ""
    return JobError(
        f"{job} failed: {ending}{stopped}",
        where=host,
        why=f"its last lines:{shown}\n  " if shown else "it left no log",
        fix=f"kit logs {job} --host {host}",
    )


def record_end(machine: Machine, job: str, run_id: str, progress: Progress, state: str = "") -> Recorded:
    """Record the end of a run on one host. Raises what the host raises."""
    task = f"hash what {job} made on {machine.name}"
    listener = hashing_listener(task, progress)
    found = machine.ask("finish_run", listener, job=job, run_id=run_id, state=state)
    progress.finish(task)
    return Recorded(record_of(found["record"], machine.name), tuple(found["last_lines"]))


def hashing_listener(task: str, progress: Progress) -> Callable[[dict[str, Any]], None]:
    """Return a listener that turns the events of hashing into progress of a task."""

    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "hashing":
            progress.start(task, event["total"])
        elif event["event"] == "hashed":
            progress.advance(task, event["bytes"])

    return hear
