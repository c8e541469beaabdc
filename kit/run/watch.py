"""Watching the containers of a run until all have ended, or one has failed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kit.jobs.asking import STEPS as ASKING_STEPS
from kit.run import commands
from kit.run.container import parse_inspected
from kit.run.fleet import each
from kit.run.training_log import TRAINER_LOG, parse_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.launch import HostLaunch, Launch
    from kit.progress import Progress
    from kit.run.container import ContainerState
    from kit.run.machine import Machine

SECONDS_BETWEEN_LOOKS = 1.0
STEPS = {
    "train": ("step", f"out/{TRAINER_LOG}"),
    "infer": ("answer", ASKING_STEPS),
    "eval": ("answer", ASKING_STEPS),
}
"""Kind of job → what it counts, and the file in its run's folder that says how far it is."""


class Clock(Protocol):
    """Time, and passing it. The module `time` is one."""

    def time(self) -> float:
        """Return seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds since any fixed moment."""

    def sleep(self, seconds: float, /) -> None:
        """Let seconds pass."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the containers of a run ended."""

    states: Mapping[str, ContainerState | None]
    """Host → its container; None when it is gone."""
    failed: str | None
    """The host that failed first; None when all succeeded."""


def first_failure(
    states: Mapping[str, ContainerState | None], clock_offsets: Mapping[str, float]
) -> str | None:
    """Return the host whose container failed first, or None. Pure.

    When one rank dies the others fail over it, so the first tells the cause: one that ran out of
    memory, or else the earliest end, with the clocks of the hosts set right.
    """
    failed = {host: state for host, state in states.items() if state is None or _has_failed(state)}
    if not failed:
        return None

    def order(host: str) -> tuple[bool, float]:
        state = failed[host]
        if state is None or state.finished is None:
            return (True, float("inf"))
        return (not state.out_of_memory, state.finished - clock_offsets.get(host, 0.0))

    return min(failed, key=order)


def may_go_on(launch: Launch, states: Mapping[str, ContainerState | None]) -> bool:
    """Return whether an elastic training goes on without the hosts that failed. Pure."""
    failed = [host for host, state in states.items() if state is None or _has_failed(state)]
    return launch.rank_zero not in failed and len(failed) <= launch.may_lose


def _has_failed(state: ContainerState) -> bool:
    return not state.running and not state.succeeded


def look(machine: Machine, share: HostLaunch) -> ContainerState | None:
    """Return how a container stands, or None when it is gone. Raises UnreachableError."""
    found = machine.run(commands.inspect_state(machine.facts, share.compose_project))
    return parse_inspected(found.text) if found.status == 0 else None


def watch(launch: Launch, machines: Mapping[str, Machine], progress: Progress, clock: Clock = time) -> Ended:
    """Return when every container has ended, or as soon as one has failed. Raises UnreachableError."""
    shares = {share.host: share for share in launch.hosts}
    offsets = {host: machines[host].facts.clock_offset for host in shares}
    task, started = launch.job, clock.monotonic()
    progress.start(task)
    while True:
        states = each(tuple(shares), lambda host: look(machines[host], shares[host]))
        failed = first_failure(states, offsets)
        if failed is not None and may_go_on(launch, states):
            failed = None
        if failed is not None or not any(state and state.running for state in states.values()):
            progress.finish(task)
            return Ended(states, failed)
        _tell(launch, machines[launch.rank_zero], shares[launch.rank_zero], progress, task)
        if launch.kind not in STEPS:
            progress.report(task, f"running, {clock.monotonic() - started:.0f} s")
        clock.sleep(SECONDS_BETWEEN_LOOKS)


def _tell(launch: Launch, machine: Machine, share: HostLaunch, progress: Progress, task: str) -> None:
    if launch.kind not in STEPS:
        return
    word, path = STEPS[launch.kind]
    found = machine.run(commands.last_line(f"{share.run_folder}/{path}"))
    step = parse_step(found.text) if found.status == 0 else None
    if step is None:
        progress.report(task, f"loading; no {word} yet")
    else:
        progress.report(task, step.text.replace("step", word, 1), step.fraction)
