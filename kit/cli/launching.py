"""Launching and ending jobs: plan, up, down."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.logins import asking_toolbox
from kit.cli.opening import local_manifest, open_project
from kit.cli.options import DEFAULT_FILE, Bundle, DryRun, File, HostNames, Json, complete_job
from kit.cli.options import JobName as Job
from kit.cli.output import bytes_text, show, shown_progress, table

if TYPE_CHECKING:
    from kit.run.down import DownResult
    from kit.run.plan import PlannedHost
    from kit.run.up import UpResult

OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Ask no host; take them to be as kit.yaml says.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Of a training: go on from its last whole checkpoint.")
]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Return once it has started.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds until a served model must work.")]
AllOption = Annotated[bool, typer.Option("--all", help="End every job.")]
SomeJob = Annotated[
    str | None, typer.Argument(metavar="JOB", help="A job of kit.yaml.", autocompletion=complete_job)
]


def plan(
    job: Job,
    file: File = DEFAULT_FILE,
    bundle: Bundle = None,
    offline: OfflineOption = False,
    as_json: Json = False,
) -> None:
    """Show every file and command of a launch; nothing is started."""
    if offline:
        from kit.run.plan import OfflinePlan, plan_without_hosts
        from kit.workflow.check_inputs import check_job_inputs

        loaded = open_project(file)
        with shown_progress() as progress:
            check_job_inputs(loaded, job, progress)
        planned = plan_without_hosts(loaded.project, job, local_manifest(file, bundle))
        show(OfflinePlan(job, planned), lambda result: _plan_lines(result.plan), as_json=as_json)
        return
    up(job, file=file, bundle=bundle, as_json=as_json, dry_run=True)


def up(
    job: Job,
    *,
    file: File = DEFAULT_FILE,
    bundle: Bundle = None,
    detach: DetachOption = False,
    resume: ResumeOption = False,
    timeout: TimeoutOption = 1800.0,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Launch a job, and wait until it is done or really works."""
    from kit.run.up import UpRequest, up
    from kit.workflow.check_inputs import check_job_inputs

    request = UpRequest(
        job, secrets.token_hex(2), dry_run=dry_run, detach=detach, resume=resume, timeout=timeout
    )
    loaded = open_project(file)
    manifest = local_manifest(file, bundle)
    with shown_progress() as progress, asking_toolbox(progress) as toolbox:
        check_job_inputs(loaded, job, progress)
        result = up(loaded, request, manifest, toolbox, progress)
    show(result, _up_lines, as_json=as_json)


def _plan_lines(plan: tuple[PlannedHost, ...]) -> Iterator[str]:
    for host in plan:
        yield f"on {host.host}, in {host.run_folder}, image {host.image_tag}:"
        for file in host.files:
            yield f"--- {file.path}"
            yield file.content.rstrip("\n")
        yield from (f"$ {line}" for line in host.commands)


def _up_lines(result: UpResult) -> Iterator[str]:
    verb = "would bring" if result.plan else "brought"
    for brought in result.carried:
        what = f"what {brought.job} made (run {brought.run_id}, {brought.files} files)"
        yield f"{verb} {what}, {bytes_text(brought.bytes)}, from {brought.source} to {brought.target}"
    if result.plan:
        yield from _plan_lines(result.plan)
        return
    where = ", ".join(result.hosts)
    if result.state == "started":
        yield f"{result.job} started on {where} (run {result.run_id}); kit logs {result.job} -f shows it"
    elif result.state == "running":
        yield from _serving_lines(result)
    else:
        yield from _done_lines(result)


def _serving_lines(result: UpResult) -> Iterator[str]:
    again = "already " if result.already_running else ""
    at = f": {result.url}" if result.url else ""
    yield f"{result.job} {again}works on {result.hosts[0]}{at} (run {result.run_id})"
    if not result.served_name:
        yield f"kit open {result.job} leads to it"
    if result.served_name:
        yield f'it serves {result.served_name}; try: kit ask {result.job} "Who are you?"'
    if result.adapters:
        names = ", ".join(result.adapters)
        yield f'and beside it {names}: kit ask {result.job} --model {result.adapters[0]} "Who are you?"'


def _done_lines(result: UpResult) -> Iterator[str]:
    yield f"{result.job} done on {', '.join(result.hosts)} in {result.seconds:.0f} s (run {result.run_id})"
    if len(result.losses) > 1:
        from kit.cli.terminal_plot import plot_lines

        yield from plot_lines([result.losses])
    if result.first_loss is not None and result.last_loss is not None:
        yield f"loss: first {result.first_loss:.4g}, last {result.last_loss:.4g}, after {result.steps} steps"
    if result.table:
        yield from table(result.table[0], result.table[1:])
    if result.made_at:
        size = bytes_text(result.made_bytes or 0)
        yield f"made {result.made_files} files, {size}: {result.made_on}:{result.made_at}"


def down(
    job: SomeJob = None,
    every: AllOption = False,
    file: File = DEFAULT_FILE,
    host: HostNames = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """End a job, or all of them; what they made stays."""
    from kit.run.down import down, require_choice
    from kit.run.fleet import chosen_hosts

    loaded = open_project(file)
    chosen = require_choice(loaded.project, job, every=every)
    names = chosen_hosts(loaded, tuple(host or ()))
    with asking_toolbox() as toolbox:
        result = down(loaded, names, chosen, toolbox, dry_run=dry_run)
    show(result, _down_lines, as_json=as_json)


def _down_lines(result: DownResult) -> Iterator[str]:
    if not result.ended:
        yield "nothing runs"
    for run in result.ended:
        said = f"would end (it is {run.state})" if result.dry_run else run.state
        yield f"{run.job} on {run.host}: {said} (run {run.run_id})"
