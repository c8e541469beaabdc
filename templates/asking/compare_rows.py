"""`kind: eval`: the answers of several models to the same rows, side by side, with their scores.

Writes answers.jsonl (a line a row), scores.json (the means, and each row's scores) and report.md.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asking import Asking, asked, json_line, say, write_whole
from scores import NAMES, Measure, mean

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN_ROWS = 200
"""Rows that the report shows; answers.jsonl has all."""
_SHOWN_CHARACTERS = 400

Scores = dict[str, list[dict[str, float]]]


def side_by_side(asking: Asking) -> Iterator[dict[str, Any]]:
    """Yield, for each row, its number, messages, reference, and the answer of every model."""
    for row in asking.rows():
        found = {each.name: asking.kept.get(row.number, each.name) for each in asking.endpoints}
        yield {
            "row": row.number,
            "messages": list(row.messages),
            "reference": row.reference,
            "answers": {name: answer.get("answer", "") for name, answer in found.items()},
            "errors": {name: answer["error"] for name, answer in found.items() if "error" in answer},
        }


def score_all(asking: Asking, measure: Measure) -> tuple[Scores, list[dict[str, Any]]]:
    """Return the scores of each model over rows that have a reference, and the same by row.

    An answer that was refused counts as an empty one.
    """
    scores: Scores = {endpoint.name: [] for endpoint in asking.endpoints}
    rows = []
    for row in side_by_side(asking):
        if not row["reference"]:
            continue
        found = {name: measure.score(text, row["reference"]) for name, text in row["answers"].items()}
        rows.append({"row": row["row"], "scores": found})
        for name, score in found.items():
            scores[name].append(score)
    return scores, rows


def table(asking: Asking, scores: Scores) -> list[list[str]]:
    """Return the table that is shown at the end: a line a model, held against the first one."""
    first = asking.endpoints[0].name
    lines = [["model", "scored", *NAMES]]
    for name, found in scores.items():
        if not found:
            lines.append([name, "0", *("-" for _ in NAMES)])
            continue
        means, against = mean(found), mean(scores[first])
        cells = [f"{means[score]:.2f}" for score in NAMES]
        if name != first:
            cells = [
                f"{cell} ({means[score] - against[score]:+.2f})"
                for cell, score in zip(cells, NAMES, strict=True)
            ]
        lines.append([name, str(len(found)), *cells])
    return lines


def _cell(text: str) -> str:
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"
    for character in "\\|<>*_`[]":
        short = short.replace(character, "\\" + character)
    return " ".join(short.split()) or " "


def _markdown(lines: list[list[str]]) -> Iterator[str]:
    for number, cells in enumerate(lines):
        yield "| " + " | ".join(cells) + " |\n"
        if number == 0:
            yield "|" + " --- |" * len(cells) + "\n"


def report(asking: Asking, lines: list[list[str]]) -> Iterator[str]:
    """Yield the Markdown report."""
    names = [endpoint.name for endpoint in asking.endpoints]
    yield f"# {' and '.join(names)}, side by side\n\n"
    yield f"{asking.total // len(names)} rows. BLEU-4 over characters, ROUGE over words (F), 0 to 100; "
    yield f"`exact`: word for word. In brackets: against {names[0]}.\n\n"
    yield from _markdown(lines)
    yield "\n"
    rows = [["row", "question", "reference", *names]]
    for row in side_by_side(asking):
        if row["row"] > _SHOWN_ROWS:
            break
        asked = row["messages"][-1]["content"]
        said = [row["errors"].get(name) or row["answers"][name] for name in names]
        rows.append([str(row["row"]), *map(_cell, (asked, row["reference"], *said))])
    yield from _markdown(rows)
    if asking.total // len(names) > _SHOWN_ROWS:
        yield f"\nThe first {_SHOWN_ROWS}; answers.jsonl has all.\n"


def main(run: Path, earlier: Path) -> int:
    """Do it; return the exit status."""
    started = time.monotonic()
    asking = asked(run, earlier)
    if asking is None:
        return 1
    if asking.refused:
        say(f"{asking.refused} questions were refused and count as empty answers; {asking.first_refusal}")
    scores, rows = score_all(asking, Measure())
    lines = table(asking, scores)
    means = {name: mean(found) if found else None for name, found in scores.items()}
    seconds = round(time.monotonic() - started, 1)
    document = {"models": means, "rows": rows, "refused": asking.refused, "seconds": seconds}
    write_whole(run / "out" / "scores.json", iter([json_line(document)]))
    write_whole(run / "out" / "report.md", report(asking, lines))
    write_whole(run / "out" / "table.json", iter([json_line(lines)]))
    write_whole(run / "out" / "answers.jsonl", map(json_line, side_by_side(asking)))
    asking.kept.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
