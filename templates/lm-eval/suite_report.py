"""What a run of suites makes of what each model picked: scores, the table, and the report.

With Python's own library alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from choices import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prepare_suites import Asked

    Suites = dict[str, list[Asked]]
    Picked = dict[str, list[str]]
    """Suite → the letter that was picked for each question, in order."""

_PERCENT = 100.0
_SHOWN = 200
"""Questions that the report shows, and characters of each."""


def scores_of(asked: list[Asked], picked: list[str]) -> dict[str, Any]:
    """Return the scores of a suite, 0 to 100: of all questions, the mean of its subjects, and each."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for one, letter in zip(asked, picked, strict=True):
        groups[one.question.subject].append(letter == LETTERS[one.question.gold])
    subjects = {
        subject: {"questions": len(group), "acc": _PERCENT * sum(group) / len(group)}
        for subject, group in groups.items()
    }
    right = sum(map(sum, groups.values()))
    return {
        "questions": len(asked),
        "acc": round(_PERCENT * right / len(asked), 2),
        "mean_of_subjects": round(sum(found["acc"] for found in subjects.values()) / len(subjects), 2),
        "subjects": {
            subject: {**found, "acc": round(found["acc"], 2)}
            for subject, found in subjects.items()
            if subject
        },
    }


def _lines(score: dict[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Yield the lines of a suite in the table: what, how many questions, how many of 100 are right."""
    yield "all", score["questions"], score["acc"]
    subjects = score["subjects"]
    if len(subjects) > 1:
        yield f"mean of {len(subjects)} subjects", score["questions"], score["mean_of_subjects"]
    yield from ((subject, found["questions"], found["acc"]) for subject, found in subjects.items())


def table(scores: dict[str, dict[str, dict[str, Any]]]) -> list[list[str]]:
    """Return the table that is shown at the end: a line a suite and subject, a column a model."""
    first, *others = scores
    lines = [["suite", "subject", "questions", *scores]]
    for suite, score in scores[first].items():
        beside = [list(_lines(scores[other][suite])) for other in others]
        for place, (what, questions, acc) in enumerate(_lines(score)):
            against = [other[place][2] for other in beside]
            cells = [f"{acc:.2f}", *(f"{one:.2f} ({one - acc:+.2f})" for one in against)]
            lines.append([suite, what, str(questions), *cells])
    return lines


def answers(suites: Suites, picked: dict[str, Picked]) -> Iterator[dict[str, Any]]:
    """Yield, for each question, what is right and what each model picked."""
    for suite, asked in suites.items():
        for place, one in enumerate(asked):
            yield {
                "suite": suite,
                "row": one.row,
                "subject": one.question.subject,
                "question": one.question.question,
                "answer": LETTERS[one.question.gold],
                "picked": {model: found[suite][place] for model, found in picked.items()},
            }


def _cell(text: str) -> str:
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + " …"
    for character in "\\|<>*_`[]":
        short = short.replace(character, "\\" + character)
    return " ".join(short.split()) or " "


def _markdown(lines: list[list[str]]) -> Iterator[str]:
    for number, cells in enumerate(lines):
        yield "| " + " | ".join(cells) + " |\n"
        if number == 0:
            yield "|" + " --- |" * len(cells) + "\n"


def report(lines: list[list[str]], rows: list[dict[str, Any]], told: str) -> Iterator[str]:
    """Yield the Markdown report: the table, and the questions over which the models are not of one mind."""
    names = lines[0][3:]
    yield f"# {' and '.join(names)}, suite by suite\n\n{told}\n\n"
    yield from _markdown([lines[0], *([*map(_cell, cells[:2]), *cells[2:]] for cells in lines[1:])])
    differing = [row for row in rows if len(set(row["picked"].values())) > 1]
    yield f"\n## Where they differ: {len(differing)} of {len(rows)} questions\n\n"
    head = ["suite", "row", "question", "right", *names]
    shown = (
        [row["suite"], str(row["row"]), _cell(row["question"]), row["answer"], *row["picked"].values()]
        for row in differing[:_SHOWN]
    )
    yield from _markdown([head, *shown])
    if len(differing) > _SHOWN:
        yield f"\nThe first {_SHOWN}; answers.jsonl has all.\n"
