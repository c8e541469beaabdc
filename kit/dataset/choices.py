"""Checking a suite: questions with choices, each record held against what an eval job reads.

It reads a record with the very code that goes into the image (`templates/lm-eval/choices.py`).
"""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.dataset.complaint import JSON, RECORD
from kit.dataset.findings import KEPT, Fault, Findings
from kit.dataset.layout import Layout, look_at
from kit.dataset.records import BrokenArrayError, read_array
from kit.errors import ConfigError
from kit.project.model import CHOICE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

CHOICES = "choices"
"""The form's name."""
_SUFFIXES = (".json", ".jsonl", ".csv")
_MODULE = "kit_templates_choices"


def looks_like_choices(path: Path, found: Mapping[str, Any]) -> bool:
    """Whether a file with such columns is a suite: a question, an answer, and choices beside them."""
    return path.suffix.lower() == ".csv" or (
        {"question", "answer"} <= found.keys() and (CHOICES in found or {"A", "B"} <= found.keys())
    )


def find_faults(path: Path, columns: Mapping[str, str], limit: int = KEPT) -> tuple[Findings, str]:
    """Return what is found in a suite, and how it lies (`array`, `lines` or `csv`). Raises ConfigError."""
    for name in columns:
        if name not in CHOICE_COLUMNS:
            fix = f"use one of {', '.join(CHOICE_COLUMNS)}"
            raise ConfigError(f"choices have no column {name!r}", where=str(path), fix=fix)
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            "suites are .json, .jsonl and .csv", where=str(path), fix="write it as one of these"
        )
    layout, read, findings = look_at(path), reader(), Findings(limit)
    kind = "csv" if path.suffix.lower() == ".csv" else "array" if layout.is_array else "lines"
    for line, record, wrong in _records(layout, kind):
        findings.records += 1
        if wrong:
            findings.add(Fault(line, findings.records, JSON, wrong))
            continue
        try:
            read.question_of(record, columns)
        except read.WrongQuestionError as error:
            findings.add(Fault(line, findings.records, RECORD, str(error)))
    return findings, kind


def reader() -> ModuleType:
    """Return the module that reads a record as a question, inside an image and here."""
    if _MODULE not in sys.modules:
        file = data_folder("templates") / "lm-eval" / "choices.py"
        spec = importlib.util.spec_from_file_location(_MODULE, file)
        assert spec is not None  # noqa: S101 - of a .py file there is one
        assert spec.loader is not None  # noqa: S101
        module = importlib.util.module_from_spec(spec)
        sys.modules[_MODULE] = module
        spec.loader.exec_module(module)
    return sys.modules[_MODULE]


def _records(layout: Layout, kind: str) -> Iterator[tuple[int, Any, str]]:
    """Yield (line, record, what is wrong with its JSON)."""
    if kind == "csv":
        yield from _csv(layout)
        return
    if kind == "array":
        try:
            for line, raw in read_array(layout):
                yield line, *_parsed(raw)
        except BrokenArrayError as broken:
            yield broken.line, None, f"not JSON: {broken.why}; nothing after it can be read"
        return
    with layout.path.open("rb") as file:
        file.seek(layout.start)
        for line, raw in enumerate(file, 1):
            if raw.strip():
                yield line, *_parsed(raw)


def _csv(layout: Layout) -> Iterator[tuple[int, Any, str]]:
    with layout.path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for record in reader:
                yield reader.line_num, record, ""
        except (csv.Error, UnicodeDecodeError) as error:
            yield reader.line_num + 1, None, f"not CSV in UTF-8: {error}"


def _parsed(raw: bytes) -> tuple[Any, str]:
    try:
        return json.loads(raw), ""
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
