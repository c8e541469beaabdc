"""Curves as an SVG file: one line each, with a legend. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.jobs.render import render
from kit.run.axes import axis_of, number_text
from kit.run.training_log import thinned

if TYPE_CHECKING:
    from pathlib import Path

    from kit.run.axes import Axis
    from kit.run.curve import Curve

WIDTH, HEIGHT = 800, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 50
_LEGEND_LINE = 18
_MOST_POINTS = 2000
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")


def curve_svg(value: str, curves: tuple[Curve, ...]) -> str:
    """Return an SVG document with all curves over each other; a value's name goes to the upright axis."""
    points = [point for curve in curves for point in curve.points]
    across, up = axis_of(step for step, _ in points), axis_of(number for _, number in points)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    return render(
        "plots/curve.svg.j2",
        {
            "width": WIDTH,
            "height": HEIGHT + _LEGEND_LINE * len(curves),
            "frame": {"left": _LEFT, "right": right, "top": _TOP, "bottom": bottom},
            "value": value,
            "across": [{"at": _x(across, mark), "text": number_text(mark)} for mark in across.marks(8)],
            "up": [{"at": _y(up, mark), "text": number_text(mark)} for mark in up.marks(6)],
            "lines": [
                {
                    "colour": COLOURS[index % len(COLOURS)],
                    "points": " ".join(
                        f"{_x(across, step)},{_y(up, number)}"
                        for step, number in thinned(curve.points, _MOST_POINTS)
                    ),
                    "dot": {"x": _x(across, curve.points[-1][0]), "y": _y(up, curve.points[-1][1])},
                    "text": f"{curve.name}, {curve.state}: last {number_text(curve.points[-1][1])}",
                    "legend": HEIGHT + _LEGEND_LINE * index,
                }
                for index, curve in enumerate(curve for curve in curves if curve.points)
            ],
        },
    )


def write_svg(path: Path, value: str, curves: tuple[Curve, ...]) -> None:
    """Write the SVG document of these curves, whole or not at all. Raises UnfitError or TransferError."""
    draft = path.with_name(f".{path.name}.new")
    with writing(path):
        draft.write_text(curve_svg(value, curves), encoding="utf-8")
        draft.replace(path)


def _x(axis: Axis, value: float) -> float:
    return round(_LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT), 1)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - _BOTTOM - axis.share(value) * (HEIGHT - _TOP - _BOTTOM), 1)
