from __future__ import annotations

import pytest

from kit.errors import TransferError
from kit.host.output import Capture, Ending, Lines


def test_an_answer_is_kept_whole() -> None:
    capture = Capture("gpu1", limit=10)
    capture(b"abc")
    capture(b"def")
    assert capture.data == b"abcdef"


def test_an_endless_answer_is_refused_before_it_fills_memory() -> None:
    capture = Capture("gpu1", limit=10)
    capture(b"x" * 10)
    with pytest.raises(TransferError, match="gpu1"):
        capture(b"x")
    assert len(capture.data) == 10


def test_of_errors_only_the_end_is_kept() -> None:
    ending = Ending(limit=4)
    for _ in range(1000):
        ending(b"ab")
    ending(b"last")
    assert ending.data == b"last"


def lines_of(*chunks: bytes, limit: int = 100) -> list[bytes]:
    found: list[bytes] = []
    lines = Lines("gpu1", found.append, limit)
    for chunk in chunks:
        lines(chunk)
    lines.end()
    return found


def test_lines_are_cut_wherever_the_chunks_end() -> None:
    assert lines_of(b"one\ntw", b"o\n", b"\nthr", b"ee") == [b"one", b"two", b"", b"three"]


def test_a_last_newline_makes_no_empty_line() -> None:
    assert lines_of(b"one\n") == [b"one"]


@pytest.mark.parametrize("chunks", [(b"x" * 11,), (b"x" * 6, b"x" * 6), (b"x" * 11 + b"\n",)])
def test_an_endless_line_is_refused(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(TransferError, match="a line"):
        lines_of(*chunks, limit=10)
