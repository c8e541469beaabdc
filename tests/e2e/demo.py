"""`make demo`: the whole path, for real, on one machine, and a table of what it took.

Two hosts of the lab stand for the intranet; they have no route to anywhere. Everything between is
kit's own command line, run as a user would.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.e2e.journey import Journey, StepFailedError, demo_journey, right_answers
from tests.lab import LabUnavailableError

if TYPE_CHECKING:
    from tests.e2e.journey import Step

SKIPPED = 77
"""Exit status of a run that this machine cannot do (automake's word for it)."""
NEEDED_RIGHT = 5


def cross(journey: Journey) -> None:
    """Carry the stack and the base model across, and ask the base model."""
    journey.prepare()
    journey.kit("lock")
    journey.kit("bundle")
    journey.kit("verify")
    journey.kit("ship")
    journey.kit("check")


def learn(journey: Journey, suffix: str = "") -> None:
    """Train on both hosts, merge, and serve what was merged."""
    journey.kit("up", f"train{suffix}")
    journey.kit("up", f"merge{suffix}")
    journey.kit("up", f"serve{suffix}")


def ask_base(journey: Journey) -> list[tuple[str, str, str]]:
    """Serve the base model, ask it everything, and stop it."""
    journey.kit("up", "serve-base")
    rows = journey.ask_all("serve-base")
    journey.kit("down", "serve-base")
    return rows


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count else ""


def _step_table(steps: list[Step]) -> Table:
    table = Table(title="The crossing, step by step")
    table.add_column("command")
    table.add_column("seconds", justify="right")
    table.add_column("bytes", justify="right")
    for step in steps:
        if not step.command.startswith("kit ask"):
            table.add_row(step.command, f"{step.seconds:.1f}", _size(int(step.result.get("bytes") or 0)))
    return table


def _answer_table(before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]) -> Table:
    table = Table(title="Six questions at temperature 0")
    for name in ("question", "before training", "after training"):
        table.add_column(name)
    for (question, _, old), (_, expected, new) in zip(before, after, strict=True):
        table.add_row(question, old[:60], new + ("  ✓" if new.strip() == expected else "  ✗"))
    return table


def report(journey: Journey, before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]) -> None:
    """Print what each step took, what was learnt and what was answered."""
    console = Console()
    console.print(_step_table(journey.steps))
    trained = next(step.result for step in journey.steps if step.command == "kit up train")
    console.print(f"loss: first {trained['first_loss']:.3f}, last {trained['last_loss']:.4f}")
    console.print(_answer_table(before, after))
    console.print(f"right before: {right_answers(before)} of {len(before)}, after: {right_answers(after)}")


def main() -> int:
    """Run the path; return 0 only when the trained model has learnt and the base had not."""
    started = time.monotonic()
    try:
        with demo_journey() as journey:
            cross(journey)
            before = ask_base(journey)
            learn(journey)
            after = journey.ask_all("serve")
            journey.kit("down", "--all")
            report(journey, before, after)
            used = shutil.disk_usage(journey.folder)
    except LabUnavailableError as error:
        print(f"make demo: skipped: {error}", file=sys.stderr)
        return SKIPPED
    except StepFailedError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    print(f"{(time.monotonic() - started) / 60:.1f} minutes in all; {used.free / 1e9:.0f} GB of disk left")
    return 0 if right_answers(after) >= NEEDED_RIGHT and right_answers(before) == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
