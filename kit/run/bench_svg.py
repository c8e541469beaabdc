"""What `kit bench` found, as an SVG file: throughput and latencies over the requests at a time. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import writing
from kit.jobs.render import render
from kit.run.axes import Axis, axis_of, number_text
from kit.run.curve_svg import COLOURS

if TYPE_CHECKING:
    from pathlib import Path

    from kit.run.bench import Benched, Load

_WIDTH, _HEIGHT = 1080, 360
_TOP, _BOTTOM = 60, 300
_PANELS = ((60, 330), (420, 690), (780, 1050))
_LEGEND = 56


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    fields: tuple[tuple[str, str], ...]
    """(field of a load, its name in the legend)"""


_SHOWN = (
    _Panel("output tokens/s", (("output_tokens_per_second", ""),)),
    _Panel("time to first token, ms", (("ttft_p50", "p50"), ("ttft_p99", "p99"))),
    _Panel("time per token after it, ms", (("tpot_p50", "p50"), ("tpot_p99", "p99"))),
)


def bench_svg(found: Benched) -> str:
    """Return an SVG document with three drawings."""
    title = (
        f"{found.job}: {found.model}, {found.program}, {found.input_tokens} + {found.output_tokens} tokens"
    )
    panels = [_panel(panel, sides, found.loads) for panel, sides in zip(_SHOWN, _PANELS, strict=True)]
    return render(
        "plots/bench.svg.j2", {"width": _WIDTH, "height": _HEIGHT, "title": title, "panels": panels}
    )


def _panel(panel: _Panel, sides: tuple[int, int], loads: tuple[Load, ...]) -> dict[str, Any]:
    left, right = sides
    # Loads are doubled, mostly: on a plain scale the small ones would stand upon each other.
    across = axis_of(math.log2(load.concurrency) for load in loads)
    up = axis_of((0.0, *(getattr(load, field) for load in loads for field, _ in panel.fields)))

    def x(value: float) -> float:
        return round(left + across.share(math.log2(value)) * (right - left), 1)

    lines = []
    for index, (field, name) in enumerate(panel.fields):
        dots = [{"x": x(load.concurrency), "y": _y(up, getattr(load, field))} for load in loads]
        lines.append(
            {
                "colour": COLOURS[index],
                "dots": dots,
                "points": " ".join(f"{dot['x']},{dot['y']}" for dot in dots),
                "legend": left + index * _LEGEND,
                "text": name,
            }
        )
    return {
        "title": panel.title,
        "left": left,
        "right": right,
        "top": _TOP,
        "bottom": _BOTTOM,
        "across": [{"at": x(load.concurrency), "text": str(load.concurrency)} for load in loads],
        "up": [{"at": _y(up, mark), "text": number_text(mark)} for mark in up.marks(5)],
        "lines": lines,
    }


def _y(axis: Axis, value: float) -> float:
    return round(_BOTTOM - axis.share(value) * (_BOTTOM - _TOP), 1)


def write_bench_svg(path: Path, found: Benched) -> None:
    """Write the SVG document, whole or not at all. Raises UnfitError or TransferError."""
    draft = path.with_name(f".{path.name}.new")
    with writing(path):
        draft.write_text(bench_svg(found), encoding="utf-8")
        draft.replace(path)
