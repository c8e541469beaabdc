"""Waiting until what a serve or data job started really works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import JobError
from kit.run.probe import EXITED, READY, REFUSED, Probed
from kit.run.record import FAILED
from kit.run.see_through import job_error, record_end
from kit.run.start_run import take_down
from kit.run.watch import Ended, look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.launch import Launch
    from kit.progress import Progress
    from kit.run.access import Access
    from kit.run.machine import Machine


def wait_until_ready(
    launch: Launch, machines: Mapping[str, Machine], progress: Progress, *, timeout: float, access: Access
) -> float:
    """Return the seconds that the host waited for the endpoint.

    Raises JobError when the container ends, when the endpoint refuses the try, or after `timeout`
    seconds; KeyboardInterrupt that says that the job goes on.
    """
    machine = machines[launch.rank_zero]
    task = launch.job
    progress.start(task)

    def hear(event: dict[str, Any]) -> None:
        progress.report(task, f"starting, {event['seconds']:.0f} s")

    request = {"job": launch.job, "run_id": launch.run_id, "timeout": timeout}
    keys = {"api_key": access.api_key, "certificate": access.certificate}
    try:
        probed = Probed(**machine.ask("probe", hear, **request, **keys))
    except KeyboardInterrupt:
        ways = f"kit up {launch.job} waits for it again, kit down {launch.job} ends it"
        raise KeyboardInterrupt(f"{launch.job} goes on starting on {machine.name}; {ways}") from None
    progress.finish(task)
    if probed.outcome == READY:
        return probed.seconds
    if probed.outcome == EXITED:
        raise _ended(launch, machines, progress)
    raise _does_not_work(launch, machine.name, probed)


def _ended(launch: Launch, machines: Mapping[str, Machine], progress: Progress) -> JobError:
    shares = {share.host: share for share in launch.hosts}
    host = launch.rank_zero
    state = look(machines[host], shares[host])
    recorded = {host: record_end(machines[host], launch.job, launch.run_id, progress, FAILED)}
    take_down(machines, shares)
    return job_error(launch.job, Ended({host: state}, host), recorded)


def _does_not_work(launch: Launch, host: str, probed: Probed) -> JobError:
    late = f"does not work after {probed.seconds:.0f} s"
    what = "refuses what kit asks to see whether it works" if probed.outcome == REFUSED else late
    return JobError(
        f"{launch.job} {what}; its container still runs",
        where=host,
        why=probed.detail,
        fix=f"kit logs {launch.job} --tail 50; kit down {launch.job}; --timeout gives it longer",
    )
