from __future__ import annotations

import pytest

from kit.errors import TransferError
from kit.host.lane_lines import LINE_LIMIT, LaneLines


def test_lines_come_one_by_one_however_they_were_cut() -> None:
    lines = LaneLines("gpu1")
    assert lines.next() is None
    for piece in (b"on", b"e\ntwo\nth", b"ree\n"):
        lines.add(piece)
    assert [lines.next() for _ in range(4)] == [b"one", b"two", b"three", None]


def test_the_end_is_an_empty_line_and_half_a_line_before_it_is_none() -> None:
    lines = LaneLines("gpu1")
    lines.add(b"whole\nhal")
    lines.add(b"")
    assert [lines.next() for _ in range(3)] == [b"whole", b"", b""]


def test_an_empty_line_is_not_taken_for_the_end() -> None:
    lines = LaneLines("gpu1")
    lines.add(b"\n\nword\n")
    assert lines.next() == b"word"


def test_a_line_without_end_is_refused() -> None:
    lines = LaneLines("gpu1")
    lines.add(b"x" * (LINE_LIMIT + 1))
    with pytest.raises(TransferError, match="stopped listening"):
        lines.next()
