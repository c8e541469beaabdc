"""A record with choices, read as a question; the same code checks a file here and reads it inside an image.

With Python's own library alone. The columns bear these names unless told otherwise: question, A, B, C … (or
choices, a list), answer (a letter; a place from 0 in a list), subject where there are several, and split:
rows of `dev` are only shown, solved, before the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LETTERS = "ABCDEFGHIJ"
DEV = "dev"
"""The split whose rows are shown, solved, before the others."""
_FEWEST = 2


class WrongQuestionError(ValueError):
    """A record that is no question, and why."""


@dataclass(frozen=True)
class Question:
    """A question, its choices, and which of them is right."""

    question: str
    choices: tuple[str, ...]
    gold: int
    """Counted from 0."""
    subject: str
    """Empty where the file names none."""
    is_dev: bool = False
    """Shown solved before others, and never asked."""

    @property
    def letters(self) -> str:
        """The letters of its choices."""
        return LETTERS[: len(self.choices)]


def question_of(record: Any, columns: Mapping[str, str]) -> Question:
    """Return a record as a question. Raises WrongQuestionError."""
    if not isinstance(record, dict):
        raise WrongQuestionError("is no object with columns")
    question = _text(record, columns.get("question", "question"))
    listed = record.get(columns.get("choices", "choices"))
    choices = _listed(listed) if isinstance(listed, list) else _lettered(record, columns)
    gold = _gold(record.get(columns.get("answer", "answer")), columns, choices, isinstance(listed, list))
    subject = record.get(columns.get("subject", "subject"))
    is_dev = _plain(record.get(columns.get("split", "split"))).lower() == DEV
    return Question(question, choices, gold, "" if subject is None else str(subject).strip(), is_dev)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _text(record: Mapping[str, Any], column: str) -> str:
    if column not in record:
        raise WrongQuestionError(f"no column {column!r}; it has {', '.join(map(str, record)) or 'none'}")
    text = _plain(record[column])
    if not text:
        raise WrongQuestionError(f"{column} is empty, or no text")
    return text


def _listed(choices: list[Any]) -> tuple[str, ...]:
    if not _FEWEST <= len(choices) <= len(LETTERS):
        raise WrongQuestionError(f"{len(choices)} choices, where {_FEWEST} to {len(LETTERS)} are read")
    if not all(_plain(choice) for choice in choices):
        raise WrongQuestionError("a choice is empty, or no text")
    return tuple(map(_plain, choices))


def _lettered(record: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[str, ...]:
    found = [_plain(record.get(columns.get(letter, letter))) for letter in LETTERS]
    count = next((place for place, text in enumerate(found) if not text), len(found))
    if count < _FEWEST:
        missing = columns.get(LETTERS[count], LETTERS[count])
        raise WrongQuestionError(f"the choice {missing} is missing or empty")
    if any(found[count:]):
        raise WrongQuestionError(
            f"the choice {columns.get(LETTERS[count], LETTERS[count])} is empty before others"
        )
    return tuple(found[:count])


def _gold(answer: Any, columns: Mapping[str, str], choices: tuple[str, ...], listed: bool) -> int:  # noqa: FBT001
    column, letters = columns.get("answer", "answer"), LETTERS[: len(choices)]
    if listed and isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    letter = answer.strip().upper() if isinstance(answer, str) else ""
    if len(letter) != 1 or letter not in letters:
        raise WrongQuestionError(f"{column} is {answer!r:.40}, and no letter from A to {letters[-1]}")
    return letters.index(letter)
