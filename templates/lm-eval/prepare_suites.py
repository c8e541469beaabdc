"""Suites as lm-eval gets them: each question's whole prompt, with solved ones of its subject before it.

The words are those of MMLU's and C-Eval's own tests. With Python's own library alone.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from choices import Question, WrongQuestionError, question_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ANSWER = {True: "答案：", False: "Answer:"}


@dataclass(frozen=True)
class Asked:
    """A question that is put to the models."""

    row: int
    """Counted from 1, in the order of the file."""
    question: Question
    solved: tuple[Question, ...]
    """What stands before it."""
    in_chinese: bool

    def prompt(self, shots: int) -> str:
        """Return the whole prompt, with so many solved questions of the same subject at most."""
        about = self.question.subject.replace("_", " ")
        if self.in_chinese:
            head = f"以下是{f'关于{about}的' if about else ''}单项选择题，请直接给出正确答案的选项。"
        else:
            head = "The following are multiple choice questions (with answers)"
            head += f" about {about}." if about else "."
        solved = (f"{self._lines(one)} {one.letters[one.gold]}" for one in self.solved[:shots])
        return "\n\n".join((head, *solved, self._lines(self.question)))

    def _lines(self, row: Question) -> str:
        choices = (f"{letter}. {text}" for letter, text in zip(row.letters, row.choices, strict=True))
        return "\n".join((row.question, *choices, _ANSWER[self.in_chinese]))


def records_of(path: Path) -> Iterator[Any]:
    """Yield the records of a JSON, JSONL or CSV file. Raises OSError or ValueError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() == ".csv":
            yield from csv.DictReader(file)
            return
        text = file.read()
    if text.lstrip().startswith("["):
        yield from json.loads(text)
        return
    yield from (json.loads(line) for line in text.split("\n") if line.strip())


def asked_of(path: Path, columns: Mapping[str, str], shots: int, limit: int | None) -> list[Asked]:
    """Return what is asked of a suite, `limit` of each subject. Raises ValueError or OSError."""
    rows = [_question(path, number, record, columns) for number, record in enumerate(records_of(path), 1)]
    chinese = sum(_is_chinese(row.question) for row in rows) * 2 > len(rows)
    solved, others = _parted(rows, shots)
    asked, counts = [], Counter[str]()
    for number, row in others:
        counts[row.subject] += 1
        if limit is None or counts[row.subject] <= limit:
            asked.append(Asked(number, row, tuple(solved[row.subject]), chinese))
    for subject in sorted({row.subject for row in rows}):
        what = f"subject {subject!r}" if subject else "the file"
        if not counts[subject]:
            raise WrongQuestionError(f"{what} of {path} has no question left after {shots} shots")
        if len(solved[subject]) < shots:
            raise WrongQuestionError(
                f"{what} of {path} has {len(solved[subject])} of {shots} shots in split dev"
            )
    if not asked:
        raise WrongQuestionError(f"{path} has no question")
    return asked


def _parted(rows: list[Question], shots: int) -> tuple[dict[str, list[Question]], list[tuple[int, Question]]]:
    """Return what stands solved before each subject's questions, and those with their row.

    Those of split dev, where the file has it; otherwise the first ones of each subject.
    """
    has_dev = any(row.is_dev for row in rows)
    solved: dict[str, list[Question]] = defaultdict(list)
    others = []
    for number, row in enumerate(rows, 1):
        shown = row.is_dev if has_dev else len(solved[row.subject]) < shots
        if not shown:
            others.append((number, row))
        elif len(solved[row.subject]) < shots:
            solved[row.subject].append(row)
    return solved, others


def _question(path: Path, number: int, record: Any, columns: Mapping[str, str]) -> Question:
    try:
        return question_of(record, columns)
    except WrongQuestionError as error:
        raise WrongQuestionError(f"row {number} of {path}: {error}") from error


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)
