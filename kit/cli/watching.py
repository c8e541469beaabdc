"""Watching jobs and using what they made: status, logs, collect, ask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.logins import asking_toolbox
from kit.cli.opening import open_project
from kit.cli.options import DEFAULT_FILE, DryRun, File, HostNames, Json
from kit.cli.options import JobName as Job
from kit.cli.output import bytes_text, show, shown_progress, table
from kit.errors import ConfigError, JobError

if TYPE_CHECKING:
    from kit.run.ask import Asked, Talk
    from kit.run.collect import Collected
    from kit.run.logs import LogLine
    from kit.run.status import RunRow, Status

EveryRun = Annotated[bool, typer.Option("--all", "-a", help="Every run, not only the newest of each job.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")]
Tail = Annotated[str, typer.Option("--tail", help="Last lines of each host: a number, or all.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder to bring it to.  [default: collected/JOB/RUN]")
]
LongFile = Annotated[Path, typer.Option("--file", help="The kit.yaml to act on.")]


def status(
    file: File = DEFAULT_FILE, host: HostNames = None, every_run: EveryRun = False, as_json: Json = False
) -> None:
    """Show hosts, runs and containers; exit code 4 when a host does not answer."""
    from kit.run.fleet import chosen_hosts
    from kit.run.status import status

    loaded = open_project(file)
    names = chosen_hosts(loaded, tuple(host or ()))
    with asking_toolbox() as toolbox:
        result = status(loaded, names, toolbox, every_run=every_run)
    show(result, _status_lines, as_json=as_json)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _status_lines(result: Status) -> Iterator[str]:
    rows = [
        (
            row.host,
            row.address,
            row.engine_version or "-",
            "-" if row.free_bytes is None else bytes_text(row.free_bytes),
            row.bundle or "-",
        )
        for row in result.hosts
    ]
    yield from table(("HOST", "ADDRESS", "ENGINE", "FREE", "BUNDLE"), rows)
    yield from (row.error for row in result.hosts if row.error)
    if result.runs:
        yield ""
        head = ("JOB", "HOST", "STATE", "STARTED", "RUN", "")
        yield from table(head, map(_run_cells, result.runs))


def _run_cells(row: RunRow) -> tuple[str, ...]:
    started = f"{datetime.fromtimestamp(row.started).astimezone():%Y-%m-%d %H:%M:%S}"
    details = [
        row.url or "",
        f"exit code {row.exit_code}" if row.exit_code else "",
        f"loss {row.last_loss:.4g}" if row.last_loss is not None else "",
        f"made {bytes_text(row.made_bytes)}" if row.made_bytes and not row.carried_from else "",
        f"holds {bytes_text(row.made_bytes or 0)} made on {row.carried_from}" if row.carried_from else "",
    ]
    shown = ", ".join(text for text in details if text)
    return (row.job, row.host, row.state, started, row.run_id, shown)


def logs(
    job: Job,
    file: LongFile = DEFAULT_FILE,
    host: HostNames = None,
    follow: Follow = False,
    tail: Tail = "100",
    as_json: Json = False,
) -> None:
    """Print what a job's containers wrote."""
    from kit.run.logs import choose_logs, collect_lines, logs

    loaded = open_project(file)
    request = choose_logs(loaded, job, tuple(host or ()), tail, follow=follow)
    if as_json and follow:
        raise ConfigError("--json writes one document, so it cannot follow", where="kit logs")
    if as_json:
        with asking_toolbox() as toolbox:
            lines = collect_lines(loaded, request, toolbox)
        show(lines, lambda _: (), as_json=True)
        return

    def say(line: LogLine) -> None:
        mark = f"{line.host} | " if len(request.hosts) > 1 else ""
        sys.stdout.write(f"{mark}{line.text}\n")
        sys.stdout.flush()

    with asking_toolbox() as toolbox:
        logs(loaded, request, toolbox, say)


def collect(
    job: Job, file: File = DEFAULT_FILE, out: Out = None, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Bring home a run's record, its logs and what it made, each file verified."""
    from kit.run.collect import collect

    loaded = open_project(file)
    with shown_progress() as progress, asking_toolbox(progress) as toolbox:
        result = collect(loaded, job, out, toolbox, progress, dry_run=dry_run)
    show(result, _collect_lines, as_json=as_json)


def _collect_lines(result: Collected) -> Iterator[str]:
    verb = "would fetch" if result.dry_run else "fetched"
    yield (
        f"{result.job} (run {result.run_id}, {result.state}): {verb} {result.fetched_files} of "
        f"{result.files} files, {bytes_text(result.fetched_bytes)} of {bytes_text(result.bytes)}"
    )
    yield f"{'it goes' if result.dry_run else 'it is'} in {result.folder}"
    yield from (f"to look at it, or to sync it where there is a network: {line}" for line in result.look)
    if result.plot:
        yield f"drew its loss: {result.plot}"


def ask(
    job: Job,
    question: Annotated[
        str,
        typer.Argument(help="What to ask.  [default: questions are typed, until Ctrl-D]", show_default=False),
    ] = "",
    *,
    file: File = DEFAULT_FILE,
    system: Annotated[str, typer.Option("--system", help="What the model is told beforehand.")] = "",
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Longest answer; else the model's own limit.")
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="0 gives the same answer every time.")
    ] = 0.0,
    model: Annotated[
        str,
        typer.Option("--model", help="An adapter that the job serves, or its model, which is the default."),
    ] = "",
    no_think: Annotated[
        bool, typer.Option("--no-think", help="Tell a reasoning model to answer at once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask a served model; the answer is written as it comes.

    Without a question, talk with it: what was said before counts, until Ctrl-D.
    """
    from kit.run.ask import Question, ask, open_talk

    asked = Question(question, system, max_tokens, temperature, think=not no_think, model=model)

    def say(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    loaded = open_project(file)
    if not question:
        if as_json:
            raise ConfigError("--json answers one question", where="kit ask", fix=f'kit ask {job} "…" --json')
        with asking_toolbox() as toolbox, open_talk(loaded, job, asked, toolbox) as talk:
            _talk(talk, say)
        return
    with asking_toolbox() as toolbox:
        result = ask(loaded, job, asked, toolbox, None if as_json else say)
    show(result, _end_of_answer, as_json=as_json)


def _talk(talk: Talk, say: Callable[[str], None]) -> None:
    mark = "> " if sys.stdin.isatty() else ""
    with suppress(ImportError):  # not everywhere; with it, lines can be edited and called back
        import readline  # noqa: F401
    while True:
        try:
            text = input(mark).strip()
        except EOFError:
            break
        if not text:
            continue
        try:
            talk.say(text, say)
        except JobError as error:
            typer.echo(str(error), err=True)
        say("\n")
    if mark:
        say("\n")


def _end_of_answer(result: Asked) -> Iterator[str]:
    # The answer itself stands there already; this ends its line.
    yield "" if result.answer else "(an empty answer)"
