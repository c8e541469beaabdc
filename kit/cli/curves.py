"""How trainings went: kit curve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.logins import asking_toolbox
from kit.cli.opening import open_project
from kit.cli.options import DEFAULT_FILE, File, Json, complete_job
from kit.cli.output import show
from kit.cli.terminal_plot import LETTERS, plot_lines
from kit.run.axes import number_text

if TYPE_CHECKING:
    from kit.run.curve import Curve, Curves

_MOST_RUNS = len(LETTERS)
SomeJobs = Annotated[
    list[str], typer.Argument(metavar="JOB...", help="Train jobs.", autocompletion=complete_job)
]


def curve(
    jobs: SomeJobs,
    *,
    file: File = DEFAULT_FILE,
    last: Annotated[
        int, typer.Option("--last", min=1, max=_MOST_RUNS, help="So many of each job's newest runs.")
    ] = 1,
    value: Annotated[
        str, typer.Option("--value", help="What to draw: loss, eval_loss, lr, reward, accuracy …")
    ] = "loss",
    plot: Annotated[Path | None, typer.Option("--plot", help="Write an SVG file, too.")] = None,
    as_json: Json = False,
) -> None:
    """Draw the loss of trainings, step by step, also while they run; several runs over each other."""
    from kit.run.curve import read_curves
    from kit.run.curve_svg import write_svg

    loaded = open_project(file)
    with asking_toolbox() as toolbox:
        result = read_curves(loaded, tuple(jobs), toolbox, last=last, value=value)
    if plot is not None:
        write_svg(plot, result.value, result.curves)
    show(result, lambda found: _curve_lines(found, plot), as_json=as_json)


def _curve_lines(result: Curves, plot: Path | None) -> Iterator[str]:
    shown = [one for one in result.curves if one.points]
    yield from plot_lines([one.points for one in shown])
    for letter, one in zip(LETTERS, shown, strict=False):
        mark = f"{letter}  " if len(shown) > 1 else ""
        yield f"{mark}{_described(one, result.value)}"
    yield from (f"{one.name}: nothing logged yet" for one in result.curves if not one.points)
    if plot is not None:
        yield f"wrote {plot}"


def _described(one: Curve, value: str) -> str:
    (_, first), (step, last) = one.points[0], one.points[-1]
    return f"{one.name}, {one.state}: {value} {number_text(first)} → {number_text(last)} at step {step}"
