"""Jobs that people look at: open."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.harmless import harmless
from kit.cli.logins import asking_toolbox
from kit.cli.opening import open_project
from kit.cli.options import DEFAULT_FILE, File, Json
from kit.cli.options import JobName as Job
from kit.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.project.load import LoadedProject
    from kit.run.open_job import Opened

PortOption = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        show_default=False,
        help="Port on this machine.  [default: the job's, or any free one]",
    ),
]
BrowserOption = Annotated[bool, typer.Option("--browser", help="Open it in this machine's browser, too.")]


def open_(
    job: Job,
    file: File = DEFAULT_FILE,
    port: PortOption = 0,
    browser: BrowserOption = False,
    as_json: Json = False,
) -> None:
    """Open a way to a running job's page or endpoint, through SSH; Ctrl-C closes it.

    A chat is joined to this terminal: `exit` ends it, Ctrl-P Ctrl-Q leaves it running.
    With --json, one line says when the way is open.
    """
    from kit.run.needs import find_job
    from kit.run.open_job import open_job

    loaded = open_project(file)
    if find_job(loaded.project, job).kind == "chat":
        _join(loaded, job)
        return
    with asking_toolbox() as toolbox, open_job(loaded, job, toolbox, port) as (opened, tunnel):
        _tell(opened, as_json=as_json, goes_on=tunnel is not None)
        if browser:
            _browse(opened.url)
        if tunnel is not None:
            try:
                tunnel.run()
            except KeyboardInterrupt:
                # The way it is meant to end.
                sys.stderr.write("\n")


open_.__name__ = "open"


def _join(loaded: LoadedProject, job: str) -> None:
    from kit.host.terminal import require_terminal
    from kit.run.open_job import join_chat

    def show(text: str) -> None:
        # A terminal's lines end with a carriage return, too.
        sys.stdout.write(harmless(text.replace("\r", "")))
        sys.stdout.flush()

    require_terminal()
    with asking_toolbox() as toolbox:
        join_chat(loaded, job, toolbox, show)
    sys.stdout.write("\n")


def _tell(opened: Opened, *, as_json: bool, goes_on: bool) -> None:
    if as_json:
        sys.stdout.write(harmless(json.dumps(plain(opened), ensure_ascii=False)) + "\n")
    else:
        sys.stdout.writelines(f"{harmless(line)}\n" for line in _lines(opened, goes_on=goes_on))
    sys.stdout.flush()


def _lines(opened: Opened, *, goes_on: bool) -> Iterator[str]:
    yield opened.url
    if opened.served_name:
        yield f"for clients of OpenAI's API: base URL {opened.url}/v1, model {opened.served_name}"
    if goes_on:
        yield f"it leads to {opened.job} on {opened.host} ({opened.remote}); Ctrl-C closes it"


def _browse(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        sys.stderr.write("kit: no browser here could be opened; go to the address yourself\n")
