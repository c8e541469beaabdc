"""The folders in which MMLU, C-Eval and CMMLU are published, made one file of questions with choices.

- MMLU (`data.tar`): `dev`, `val` and `test` of SUBJECT_dev.csv …: question, A to D, answer, without names.
- C-Eval (`ceval-exam.zip`): the same, with a line of names and an `id`; its `test` holds no answers.
- CMMLU: `dev` and `test` of SUBJECT.csv, with a line of names that begin with capitals.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from kit.dataset.choices import CHOICES, reader
from kit.dataset.convert import Converted
from kit.dataset.write import ONCE, Writing, check_targets, written
from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEV = "dev"
_ASKED = ("test", "val")
"""Folders of questions to be asked; the first one that has answers is taken."""
_NAMELESS = ("question", *"ABCD", "answer")
_FIX = "give the folder that holds dev and test (C-Eval: dev and val), as the suite's authors pack it"


def join_suite(folder: Path, path: Path, writing: Writing = ONCE) -> Converted:
    """Write a suite's questions into one file, by subject, those of `dev` first.

    Raises ConfigError for a folder that is none, or a question that cannot be asked.
    """
    import msgspec

    check_targets((path,), folder, writing)
    splits = (DEV, _asked_split(folder))
    subjects: dict[str, list[tuple[str, Path]]] = {}
    for split in splits:
        for file in sorted((folder / split).glob("*.csv")):
            subjects.setdefault(file.stem.removesuffix(f"_{split}"), []).append((split, file))
    with written((path,), writing) as (target,):
        for subject, files in sorted(subjects.items()):
            for split, file in files:
                for record in _questions(file):
                    target.add(msgspec.json.encode({**record, "subject": subject, "split": split}))
    return Converted(folder, path, target.records, CHOICES, {"format": CHOICES}, writing.dry_run)


def _asked_split(folder: Path) -> str:
    for split in _ASKED:
        first = next(iter(sorted((folder / split).glob("*.csv"))), None)
        if first is not None and "answer" in next(_rows(first), {}):
            return split
    raise ConfigError("holds no questions with answers", where=str(folder), fix=_FIX)


def _questions(file: Path) -> Iterator[dict[str, str]]:
    read = reader()
    for number, record in enumerate(_rows(file), 1):
        try:
            read.question_of(record, {})
        except read.WrongQuestionError as error:
            where = f"{file}, question {number}"
            raise ConfigError(
                "cannot be asked", where=where, why=str(error), fix="correct it there"
            ) from None
        yield {name: record[name] for name in (*_NAMELESS, *"EFGHIJ") if record.get(name)}


def _rows(file: Path) -> Iterator[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.reader(opened)
            first = next(rows, [])
            names = _names(first)
            if not names:
                names = _NAMELESS
                yield dict(zip(names, first, strict=False))
            yield from (dict(zip(names, row, strict=False)) for row in rows if row)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", where=str(file), why=str(error), fix=_FIX) from error


def _names(row: list[str]) -> tuple[str, ...]:
    """Return the columns' names as kit spells them; none where the row is a question."""
    if "question" not in {cell.strip().lower() for cell in row}:
        return ()
    return tuple(cell.strip() if len(cell.strip()) == 1 else cell.strip().lower() for cell in row)
