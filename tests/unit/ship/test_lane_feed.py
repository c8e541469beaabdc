from __future__ import annotations

import pytest

from kit.ship.lane_feed import LARGEST_PIECE, SLICE, ArchiveFeed
from kit.ship.lane_script import Record

DATA = bytes(range(256)) * 40


class FakeLane:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def chunks(size: int) -> list[bytes]:
    return [DATA[start : start + size] for start in range(0, len(DATA), size)]


def given(feed: ArchiveFeed, record: Record) -> bytes:
    lane = FakeLane()
    feed.give(lane, record, lambda _: None)  # type: ignore[arg-type]
    return lane.data


@pytest.mark.parametrize("said", [len(DATA), len(DATA) - 100, len(DATA) + 100])
def test_an_archive_goes_in_pieces_whatever_it_was_said_to_have(said: int) -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(700), said)
    whole = bytearray()
    while record := feed.take(3000):
        assert feed.left >= 0
        assert record.header == f"kit-image.tar {len(whole)} {record.length}\n".encode()
        whole += given(feed, record)
        feed.arrived(record)
    assert whole == DATA
    assert feed.left == 0


def test_what_is_left_is_known_beforehand() -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(700), len(DATA))
    assert feed.left == len(DATA)
    feed.take(1000)
    assert feed.left == len(DATA) - 1000


def test_a_piece_that_came_back_is_given_again() -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(700), len(DATA))
    first, second = feed.take(1000), feed.take(1000)
    assert first is not None
    assert second is not None
    before = given(feed, first)
    feed.arrived(second)
    feed.give_back((first,))
    assert feed.left == len(DATA) - 1000
    assert feed.take(10) == first
    assert given(feed, first) == before


def test_a_piece_is_bounded_and_told_of_in_slices() -> None:
    feed = ArchiveFeed("kit-image.tar", [b"x" * (3 * LARGEST_PIECE)], 3 * LARGEST_PIECE)
    record = feed.take(1 << 40)
    assert record is not None
    assert record.length == LARGEST_PIECE
    sent: list[int] = []
    feed.give(FakeLane(), record, sent.append)  # type: ignore[arg-type]
    assert set(sent) == {SLICE}
    assert sum(sent) == LARGEST_PIECE
