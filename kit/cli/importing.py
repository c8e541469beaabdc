"""Taking what users already have: import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.harmless import harmless
from kit.cli.options import DryRun, Json
from kit.cli.output import show, table

if TYPE_CHECKING:
    from kit.workflow.import_jobs import ImportRequest, ImportResult

_WIDEST = 60
"""Characters of a cell before the last one; --json has all."""


def import_(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT...",
            help="Files (LLaMA-Factory's YAML, a script), or after -- a command line; - is standard input.",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", help="Add the jobs to this kit.yaml; the rest of it stays as it is."),
    ] = None,
    stack: Annotated[
        str, typer.Option("--stack", help="cu126 (NVIDIA GPUs) or cpu; with --into, that file's.")
    ] = "cu126",
    name: Annotated[str | None, typer.Option("--name", help="The job's name, when it is one job.")] = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Where it runs; may be given again.")
    ] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make jobs of LLaMA-Factory's YAML and of torchrun, accelerate, deepspeed, vllm and docker run lines.

    The YAML for kit.yaml goes to standard output, the table of what was taken, renamed and dropped, and why,
    to standard error. Nothing is run, and no shell looks at it.
    """
    from kit.workflow.import_jobs import import_jobs

    result = import_jobs(_request(tuple(what or ()), into, (stack, name, tuple(host or ())), dry_run=dry_run))
    if not as_json:
        sys.stderr.writelines(f"{harmless(line)}\n" for line in _table(result))
    show(result, _lines, as_json=as_json)


import_.__name__ = "import"
"""The command's name, which no function of Python can have."""


def _request(
    what: tuple[str, ...],
    into: Path | None,
    more: tuple[str, str | None, tuple[str, ...]],
    *,
    dry_run: bool,
) -> ImportRequest:
    from kit.workflow.import_jobs import ImportRequest

    stack, name, hosts = more
    files: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()
    text = None
    if not what or what == ("-",):
        text = _standard_input(asked=bool(what))
    elif all(Path(word).is_file() for word in what):
        files = tuple(map(Path, what))
    elif len(what) == 1 and " " in what[0].strip():
        text = what[0]
    else:
        _check_file(what)
        words = what
    return ImportRequest(files, words, text, into, stack, name, hosts, dry_run=dry_run)


def _check_file(what: tuple[str, ...]) -> None:
    from kit.errors import ConfigError

    for word in what:
        if len(what) == 1 or word == what[0]:
            missing = Path(word).suffix in (".yaml", ".yml", ".json", ".sh") and not Path(word).is_file()
            if missing:
                raise ConfigError(
                    "no such file", where=word, fix="kit import FILE, or kit import -- COMMAND LINE"
                )


def _standard_input(*, asked: bool) -> str:
    from kit.errors import ConfigError

    if not asked and sys.stdin.isatty():
        raise ConfigError(
            "nothing to import",
            where="kit import",
            fix="name a file (kit import train.yaml), or a command: kit import -- vllm serve MODEL",
        )
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("no text in UTF-8", where="standard input", why=str(error)) from error


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"


def _table(result: ImportResult) -> Iterator[str]:
    several = len(result.jobs) > 1
    rows = [
        (
            *((line.job,) if several else ()),
            line.action,
            _short(line.given),
            _short(line.becomes),
            line.because,
        )
        for line in result.changes
    ]
    head = (*(("job",) if several else ()), "what", "given", "in kit.yaml", "because")
    yield from table(head, rows)
    yield ""


def _lines(result: ImportResult) -> Iterator[str]:
    jobs = ", ".join(result.jobs)
    if result.wrote:
        yield f"added {jobs} to {result.wrote}; next: kit plan {result.jobs[0]} --offline -f {result.wrote}"
    else:
        yield result.yaml.rstrip("\n")
