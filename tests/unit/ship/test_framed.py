from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kit.bundle.digest import blob_of
from kit.bundle.frame_index import piece_of
from kit.ship.framed import bytes_of, framed, numbers_of, one_frame, ranges_of


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_the_same_numbers_and_never_touch(numbers: set[int]) -> None:
    ranges = ranges_of(sorted(numbers))
    assert list(numbers_of(ranges)) == sorted(numbers)
    assert all(a[1] < b[0] for a, b in pairwise(ranges))


def test_an_extent_is_where_frames_lie() -> None:
    pieces = [b"one", b"three", b"7654321"]
    blob = framed(blob_of(b"".join(pieces)), tuple(map(piece_of, pieces)))
    assert blob.extent(0, 1) == (0, 3)
    assert blob.extent(1, 3) == (3, 12)
    assert bytes_of(blob, ((0, 1), (2, 3))) == 10
    assert len(blob) == 3


def test_a_blob_without_an_index_is_one_frame_and_an_empty_one_none() -> None:
    assert one_frame(blob_of(b"abc")).frames == (piece_of(b"abc"),)
    assert len(one_frame(blob_of(b""))) == 0
