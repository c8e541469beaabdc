"""Checking files of training data: every record held against what LLaMA-Factory accepts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from kit.dataset.check_part import Checker, Part, check_part
from kit.dataset.choices import CHOICES, find_faults, looks_like_choices
from kit.dataset.complaint import JSON
from kit.dataset.findings import KEPT, Fault, Findings
from kit.dataset.form import ALPACA, Form, check_columns, recognise
from kit.dataset.head import first_values
from kit.dataset.layout import Layout, look_at
from kit.dataset.records import BrokenArrayError, cuts, read_array
from kit.dataset.schema import Schema, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kit.progress import Progress

PART_BYTES = 32 << 20
"""What one process checks at a time; a file of fewer than two such parts is checked by one."""
_SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How files are to be read."""

    form: str = ""
    """A name of `form.NAMES`; empty: as the first records show it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """LLaMA-Factory's names → the file's; empty: as the form and the file have them."""
    limit: int = KEPT
    """Faults of a file to keep."""
    workers: int = 0
    """Processes; 0: one a core."""
    exact: Form | None = None
    """The form and nothing else, where kit.yaml says it."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was found in one file."""

    path: Path
    form: str
    entry: Mapping[str, Any]
    """What kit.yaml must say of it, beside its path."""
    layout: str
    """`array` or `lines`."""
    bytes: int
    records: int
    faulty: int
    """Records with a fault."""
    codes: Mapping[str, int]
    """Code of a fault → records."""
    faults: tuple[Fault, ...]
    """The first of them."""
    problems: tuple[str, ...]
    """What is wrong with the file as a whole."""
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.faulty or self.problems)


def read_form(layout: Layout, wanted: Wanted) -> tuple[Form, dict[str, Any]]:
    """Return the form of a file, and its columns with a value each. Raises ConfigError when no form fits."""
    found, where = first_values(layout), str(layout.path)
    if wanted.exact is not None:
        return wanted.exact, found
    if not found and not wanted.form:
        # Nothing to tell a form by: the faults of its records are what there is to say.
        return recognise({"instruction": ""}, where), found
    if not wanted.columns:
        return recognise(found, where, wanted.form), found
    check_columns(wanted.columns, where)
    form = recognise(found, where, wanted.form or (ALPACA if "prompt" in wanted.columns else ""))
    return replace(form, columns=tuple(wanted.columns.items())), found


def check_file(path: Path, wanted: Wanted, progress: Progress) -> FileReport:
    """Return what is found in a file. Raises ConfigError when it cannot be read, or no form fits it."""
    began = time.monotonic()
    layout = look_at(path)
    if _is_suite(layout, wanted):
        return check_suite(path, wanted.columns, wanted.limit)
    form, found = read_form(layout, wanted)
    kinds = {name: kind_of(value) for name, value in found.items()}
    task = f"check {path.name}"
    progress.start(task, layout.size)
    if layout.is_array:
        findings = _check_array(layout, Schema(form, kinds), wanted.limit)
    else:
        findings = _check_lines(layout, form, kinds, wanted, progress)
    progress.finish(task)
    return FileReport(
        path=path,
        form=form.name,
        entry=form.entry(),
        layout="array" if layout.is_array else "lines",
        bytes=layout.size,
        records=findings.records,
        faulty=findings.faulty,
        codes=dict(findings.codes),
        faults=tuple(findings.faults),
        problems=tuple(_problems(layout, form, found, findings)),
        seconds=round(time.monotonic() - began, 3),
    )


def _is_suite(layout: Layout, wanted: Wanted) -> bool:
    if wanted.form or wanted.exact is not None or wanted.columns:
        return wanted.form == CHOICES
    is_csv = layout.path.suffix.lower() == ".csv"
    return looks_like_choices(layout.path, {} if is_csv else first_values(layout))


def check_suite(path: Path, columns: Mapping[str, str], limit: int = KEPT) -> FileReport:
    """Return what is found in a file of questions with choices. Raises ConfigError when it cannot be read."""
    began = time.monotonic()
    findings, layout = find_faults(path, columns, limit)
    entry = {"format": CHOICES, **({"columns": dict(columns)} if columns else {})}
    return FileReport(
        path=path,
        form=CHOICES,
        entry=entry,
        layout=layout,
        bytes=path.stat().st_size,
        records=findings.records,
        faulty=findings.faulty,
        codes=dict(findings.codes),
        faults=tuple(findings.faults),
        problems=() if findings.records else ("holds no record",),
        seconds=round(time.monotonic() - began, 3),
    )


def _check_array(layout: Layout, schema: Schema, limit: int) -> Findings:
    checker = Checker(schema, limit, learns=True)
    try:
        for line, raw in read_array(layout):
            checker.take_record(line, raw)
    except BrokenArrayError as broken:
        checker.findings.add(
            Fault(broken.line, broken.record, JSON, f"not JSON: {broken.why}; nothing after it can be read")
        )
    return checker.findings


def _check_lines(
    layout: Layout, form: Form, kinds: dict[str, str], wanted: Wanted, progress: Progress
) -> Findings:
    parts = [
        Part(layout.path, begin, end, form, kinds, wanted.limit)
        for begin, end in pairwise(cuts(layout, PART_BYTES))
    ]
    workers = min(len(parts), wanted.workers or _cores())
    findings = Findings(wanted.limit)
    for part, found in zip(parts, _found(parts, workers), strict=True):
        findings.join(found)
        progress.advance(f"check {layout.path.name}", part.end - part.begin)
    return findings


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _found(parts: list[Part], workers: int) -> Iterator[Findings]:
    """Yield the findings of each part in order, from so many processes."""
    if workers <= 1:
        yield from map(check_part, parts)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Not forked: bars are drawn by threads, whose locks a forked process would inherit.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(check_part, parts)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _problems(layout: Layout, form: Form, found: Mapping[str, Any], findings: Findings) -> Iterator[str]:
    if not findings.records and not findings.faulty:
        yield "holds no record"
    if layout.path.suffix not in _SUFFIXES:
        yield f"LLaMA-Factory reads .json and .jsonl, not {layout.path.suffix or 'a name without either'}"
    if layout.is_array and layout.has_mark:
        yield "a byte order mark stands before the array, and the datasets library refuses it"
    for name, column in form.columns:
        if found and column not in found:
            yield f"no record has the column {column!r} that is to be read as {name}"
