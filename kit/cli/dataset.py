"""Training data: check, stats, convert, split, dedupe, register."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.dataset_lines import stats_lines
from kit.cli.options import DEFAULT_FILE, DryRun, File, Json
from kit.cli.output import bytes_text, plain, show, shown_progress
from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.dataset.check import FileReport, Wanted
    from kit.dataset.convert import Converted
    from kit.dataset.write import Writing

_BAD = 2
"""Exit code for data that cannot be trained on."""
Form = Annotated[
    str,
    typer.Option("--form", help="alpaca, sharegpt, openai, each also -preference or -kto; text; choices."),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column", help="LLaMA-Factory's name=the file's, e.g. prompt=question; all that are read."
    ),
]

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSON arrays, or a record a line.")]
Source = Annotated[Path, typer.Argument(metavar="FILE", help="A JSON array, or a record a line.")]
Target = Annotated[Path, typer.Argument(metavar="NEW", help="What to write: NEW.json or NEW.jsonl.")]
Limit = Annotated[int, typer.Option("--limit", help="Records to name of each file.", min=0)]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def wanted(form: str, column: list[str] | None, limit: int = 20) -> Wanted:
    """Return how files are to be read, as the options say. Raises ConfigError."""
    from kit.dataset.check import Wanted

    pairs = [text.partition("=") for text in column or ()]
    for name, _, of_file in pairs:
        if not (name and of_file):
            raise ConfigError(f"{name!r} names no column", where="--column", fix="--column prompt=question")
    return Wanted(form, {name: of_file for name, _, of_file in pairs}, limit)


def _would(dry_run: bool) -> str:
    return "would write " if dry_run else ""


def check(
    files: Files,
    form: Form = "",
    column: Column = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Hold every record against what LLaMA-Factory, or an eval, accepts; name faults by file and line."""
    from kit.dataset.check import check_file

    options = wanted(form, column, limit)
    with shown_progress() as progress:
        reports = [check_file(path, options, progress) for path in files]
    good = all(report.is_good for report in reports)
    document = {"good": good, "files": [plain(report) | {"good": report.is_good} for report in reports]}
    show(document, lambda _: (line for report in reports for line in _checked(report)), as_json=as_json)
    if not good:
        raise typer.Exit(_BAD)


def _checked(report: FileReport) -> Iterator[str]:
    yield from (f"{report.path}: {problem}" for problem in report.problems)
    for fault in report.faults:
        record = f", record {fault.record}" if report.layout == "array" else ""
        yield f"{report.path}:{fault.line}{record}: {fault.text}"
    more = report.faulty - len(report.faults)
    if more:
        yield f"{report.path}: {more:,} more faults; --limit shows them"
    rate = report.bytes / report.seconds if report.seconds else 0
    speed = f", {bytes_text(rate)}/s" if report.bytes > 10 * 1000**2 else ""
    state = f"{report.faulty:,} not right" if report.faulty else "all right"
    size = f"{report.records:,} records, {bytes_text(report.bytes)}{speed}"
    yield f"{report.path}: {report.form}, {size}: {state}"
    if report.is_good and len(report.entry) > 1:
        yield f"kit.yaml must say more than its path; to have it written: kit dataset register {report.path}"


def stats(
    files: Files,
    model: Annotated[
        Path | None, typer.Option("--model", help="Count tokens with the tokenizer.json in this folder.")
    ] = None,
    form: Form = "",
    column: Column = None,
    as_json: Json = False,
) -> None:
    """Measure records, turns and lengths; with --model in tokens, and suggest cutoff_len."""
    from kit.dataset.model_tokens import token_counter
    from kit.dataset.stats import measure

    options = wanted(form, column)
    count = token_counter(model) if model else None
    with shown_progress() as progress:
        found = [measure(path, options, count, progress) for path in files]
    show({"files": plain(found)}, lambda _: chain.from_iterable(map(stats_lines, found)), as_json=as_json)


def convert(
    source: Source,
    target: Target,
    to: Annotated[
        str,
        typer.Option(
            "--to", help="alpaca, sharegpt or openai; choices, of a suite's folder.  [default: its own]"
        ),
    ] = "",
    form: Form = "",
    column: Column = None,
    force: Force = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Turn a file into another form, or JSON into JSONL and back, losing nothing; or join a suite."""
    from kit.dataset.convert import convert as work
    from kit.dataset.write import Writing

    if source.is_dir() or to == "choices":
        result = _joined(source, target, to, Writing(force, dry_run))
    else:
        with shown_progress() as progress:
            result = work(source, target, to, wanted(form, column), progress, Writing(force, dry_run))
    line = f"{_would(dry_run)}{result.path}: {result.form}, {result.records:,} records"
    show(result, lambda _: (line,), as_json=as_json)


def _joined(source: Path, target: Path, to: str, writing: Writing) -> Converted:
    from kit.dataset.suite_folder import join_suite

    if to != "choices" or not source.is_dir():
        raise ConfigError(
            "choices are made of a folder, and a folder is made choices",
            where=str(source),
            fix="kit dataset convert FOLDER NEW.jsonl --to choices, with dev and test (or val) in it",
        )
    return join_suite(source, target, writing)


def split(
    source: Source,
    share: Annotated[str, typer.Option("--eval", help="For evaluation: 0.05, 5% or a count.")] = "0.05",
    seed: Annotated[int, typer.Option("--seed", help="The same seed cuts the same way.")] = 42,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder.  [default: the file's own]")
    ] = None,
    force: Force = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Cut a file into NAME.train and NAME.eval, at random and reproducibly."""
    from kit.dataset.split import split as work
    from kit.dataset.write import Writing

    with shown_progress() as progress:
        result = work(source, out or source.parent, share, seed, progress, Writing(force, dry_run))
    rows = ((result.train, result.train_records), (result.eval, result.eval_records))
    show(
        result,
        lambda _: (f"{_would(dry_run)}{path}: {records:,} records" for path, records in rows),
        as_json=as_json,
    )


def dedupe(
    source: Source,
    target: Target,
    form: Form = "",
    column: Column = None,
    limit: Limit = 20,
    force: Force = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Leave out records that say the same as an earlier one, whatever their case and spaces."""
    from kit.dataset.dedupe import dedupe as work
    from kit.dataset.write import Writing

    with shown_progress() as progress:
        result = work(source, target, wanted(form, column), progress, Writing(force, dry_run))

    def lines(_: object) -> Iterator[str]:
        for double in result.doubles[:limit]:
            where = f"{source}:{double.line}, record {double.record}"
            yield f"{where}: the same as the one on line {double.same_as_line}"
        if len(result.doubles) > limit:
            yield f"{len(result.doubles) - limit:,} more; --limit shows them"
        left_out = f"{len(result.doubles):,} left out"
        yield f"{_would(dry_run)}{target}: {result.kept:,} of {result.records:,} records, {left_out}"

    show(result, lines, as_json=as_json)


def register(
    source: Source,
    name: Annotated[str, typer.Option("--name", help="In kit.yaml.  [default: the file's]")] = "",
    file: File = DEFAULT_FILE,
    form: Form = "",
    column: Column = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Check a file, and add it to kit.yaml's datasets; every other line stays as it is."""
    from kit.dataset.register import register as work

    with shown_progress() as progress:
        result = work(source, file, name, wanted(form, column), progress, dry_run=dry_run)

    def lines(_: object) -> Iterator[str]:
        if result.why_not:
            yield f"{result.kit_yaml} is left as it is: {result.why_not}; put this into it:"
            yield "datasets:"
        else:
            yield f"{result.kit_yaml}: {'added' if result.is_written else 'would add'} to datasets:"
        yield from result.lines

    show(result, lines, as_json=as_json)


COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (check, "kit dataset check data/notes.jsonl"),
    (stats, "kit dataset stats data/notes.jsonl --model models/qwen3-32b"),
    (convert, "kit dataset convert data/notes.json data/notes.jsonl --to sharegpt"),
    (split, "kit dataset split data/notes.jsonl --eval 0.05 --seed 42"),
    (dedupe, "kit dataset dedupe data/notes.jsonl data/notes-once.jsonl"),
    (register, "kit dataset register data/notes.jsonl --name notes"),
)
"""Every command, with an example."""


def make_app() -> typer.Typer:
    """Return the group `kit dataset`."""
    app = typer.Typer(
        rich_markup_mode=None, no_args_is_help=True, help="Look at training data and put it right."
    )
    for command, example in COMMANDS:
        app.command(epilog=f"Example: {example}")(command)
    return app
