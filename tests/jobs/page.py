"""docs/measurements/jobs.md, out of what became of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.jobs.row import RAN, REFUSED, RENDERED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.jobs.row import Outcome

INTRODUCTION = """\
# Kinds of job and their options

What becomes of each, as `make test-jobs` found it:

- **ran**: in the lab, on stack `cpu`, with the real images, shipped from a bundle to two hosts with Docker
  engine 20.10 and docker-compose 1.29.2; seconds are those of the whole row, on 2 processors that both share.
- **rendered**: for stack `cu126`, since it needs a GPU: the launch was made for two hosts of four GPUs, its
  compose files are valid by both ages of compose's schema, and every argument or flag that its program gets
  is in the parser recorded from the pinned release. Where it says so, the own code of LLaMA-Factory, vLLM or
  SGLang parsed and checked them, too, inside the image of that stack, built from the locked wheels over a
  stand-in root, and understood every value as it was given; LLaMA Board's page was made and asked for there
  (`make test-jobs CU126=1`). Nothing of it was run.
- **refused**: kit ends with exit code 2 before any host is asked, and says why and how to mend it.

"""
TITLES = {RAN: "Ran on stack cpu", RENDERED: "Rendered for stack cu126", REFUSED: "Refused"}


def page(outcomes: Iterable[Outcome], missing: Iterable[str] = ()) -> str:
    """Return the page. An outcome that is not proven is called FAILED; `missing` are rows not on it."""
    found = list(outcomes)
    parts = [INTRODUCTION]
    for way, title in TITLES.items():
        rows = [outcome for outcome in found if outcome.way == way]
        if rows:
            seconds = " seconds |" if way == RAN else ""
            line = " ---: |" if way == RAN else ""
            parts.append(f"## {title}\n\n| kind | options | seen |{seconds}\n| --- | --- | --- |{line}\n")
            parts += [_line(outcome) for outcome in rows]
            parts.append("\n")
    days = sorted({outcome.when for outcome in found})
    parts.append(f"{len(found)} rows, measured {' and '.join(days)}.\n")
    if left := ", ".join(f"`{name}`" for name in missing):
        parts.append(f"\nNot run since they, or what they run, last changed: {left}.\n")
    return "".join(parts)


def _line(outcome: Outcome) -> str:
    said = outcome.said if outcome.proven else f"FAILED: {outcome.said}"
    cells = [outcome.kind, outcome.options, said.replace("|", "\\|").replace("\n", " ")]
    if outcome.way == RAN:
        cells.append(f"{outcome.seconds:.0f}")
    return f"| {' | '.join(cells)} |\n"
