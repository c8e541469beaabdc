"""`kind: infer`: a model's answer to every row, in out/answers.jsonl, in the order of the rows."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asking import Asking, asked, json_line, say, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator


def answered(asking: Asking) -> Iterator[str]:
    """Yield a line a row: number, messages, answer, and the dataset's own answer as `reference`."""
    name = asking.endpoints[0].name
    for row in asking.rows():
        found = asking.kept.get(row.number, name)
        line: dict[str, Any] = {"row": row.number, "messages": list(row.messages)}
        line |= {key: value for key, value in found.items() if key not in ("row", "name", "asked", "tokens")}
        if row.reference:
            line["reference"] = row.reference
        yield json_line(line)


def table(asking: Asking, seconds: float) -> list[list[str]]:
    """Return the table that is shown at the end."""
    head = ["model", "answers", "refused", "taken over", "prompt tokens", "answer tokens", "seconds"]
    counts = (asking.refused, asking.taken_over, *asking.tokens)
    answers = len(asking.kept) - asking.refused
    return [head, [asking.endpoints[0].model, str(answers), *map(str, counts), f"{seconds:.1f}"]]


def main(run: Path, earlier: Path) -> int:
    """Do it; return the exit status."""
    started = time.monotonic()
    asking = asked(run, earlier)
    if asking is None:
        return 1
    if asking.total and asking.refused == asking.total:
        say(f"every question was refused; {asking.first_refusal}")
        return 1
    if asking.refused:
        say(f"{asking.refused} questions were refused, their rows have `error`; {asking.first_refusal}")
    rows = table(asking, time.monotonic() - started)
    write_whole(run / "out" / "table.json", iter([json_line(rows)]))
    write_whole(run / "out" / "answers.jsonl", answered(asking))
    asking.kept.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
