"""Curves drawn with characters: one alone in dots of braille, several with a letter each. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from kit.run.axes import Axis, axis_of, number_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kit.run.training_log import Points

WIDTH, HEIGHT = 64, 12
"""Of the drawing in characters, without its numbers."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BLANK = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Row and column of a dot → its bit in a character of braille."""


def plot_lines(curves: Sequence[Points], width: int = WIDTH, height: int = HEIGHT) -> Iterator[str]:
    """Yield the lines of a drawing; nothing when there is nothing to draw."""
    points = [point for curve in curves for point in curve]
    if not points:
        return
    across, up = axis_of(step for step, _ in points), axis_of(value for _, value in points)
    if len(curves) == 1:
        cells = _braille(_path(curves[0], across, up, 2 * width, 4 * height), width, height)
    else:
        cells = _letters([_path(curve, across, up, width, height) for curve in curves], width, height)
    yield from _framed(cells, across, up)


def _path(points: Points, across: Axis, up: Axis, width: int, height: int) -> set[tuple[int, int]]:
    """Return the (column, row) pairs that a curve passes; row 0 is at the top."""
    places = [
        (round(across.share(step) * (width - 1)), round((1 - up.share(value)) * (height - 1)))
        for step, value in points
    ]
    passed = set(places)
    for (x, y), (next_x, next_y) in pairwise(places):
        far = max(abs(next_x - x), abs(next_y - y))
        passed |= {
            (round(x + (next_x - x) * part / far), round(y + (next_y - y) * part / far))
            for part in range(1, far)
        }
    return passed


def _braille(path: set[tuple[int, int]], width: int, height: int) -> list[str]:
    cells = [[_BLANK] * width for _ in range(height)]
    for x, y in path:
        cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    return ["".join(map(chr, row)).replace(chr(_BLANK), " ") for row in cells]


def _letters(paths: list[set[tuple[int, int]]], width: int, height: int) -> list[str]:
    cells = [[" "] * width for _ in range(height)]
    for index, path in enumerate(paths):
        for x, y in path:
            cells[y][x] = LETTERS[index % len(LETTERS)]
    return ["".join(row) for row in cells]


def _framed(rows: list[str], across: Axis, up: Axis) -> Iterator[str]:
    marks = {round((1 - up.share(mark)) * (len(rows) - 1)): number_text(mark) for mark in up.marks(6)}
    wide = max(map(len, marks.values()))
    for index, row in enumerate(rows):
        yield f"{marks.get(index, ''):>{wide}} {'┤' if index in marks else '│'}{row}".rstrip()
    yield f"{'':>{wide}} └{'─' * len(rows[0])}"
    first, last = number_text(across.low), number_text(across.high)
    yield f"{'':>{wide}}  {first}{last:>{len(rows[0]) - len(first)}}"
