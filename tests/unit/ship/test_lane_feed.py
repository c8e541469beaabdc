from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from kit.errors import VerificationError
from kit.ship.lanes.feed import PIECE, SLICE, ArchiveFeed
from kit.ship.lanes.script import Record

DATA = bytes(range(256)) * (11 * PIECE // 1024)
"""Two pieces and three quarters."""


class FakeLane:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def chunks() -> list[bytes]:
    return [DATA[start : start + 70_000] for start in range(0, len(DATA), 70_000)]


def pieces() -> list[bytes]:
    return [DATA[start : start + PIECE] for start in range(0, len(DATA), PIECE)]


def given(feed: ArchiveFeed, record: Record) -> bytes:
    lane = FakeLane()
    feed.give(lane, record, lambda _: None)  # type: ignore[arg-type]
    return lane.data


def taken(feed: ArchiveFeed) -> list[tuple[int, bytes]]:
    found = []
    while record := feed.take(3000):
        assert feed.left >= 0
        assert record.header == f"kit-image.tar {record.offset} {record.length}\n".encode()
        found.append((record.offset, given(feed, record)))
        feed.arrived(record)
    assert feed.left == 0
    return found


EVERYTHING = [(number * PIECE, piece) for number, piece in enumerate(pieces())]


@pytest.mark.parametrize("said", [len(DATA), len(DATA) - 100, len(DATA) + 100])
def test_an_archive_goes_in_pieces_whatever_it_was_said_to_have(said: int) -> None:
    assert taken(ArchiveFeed("kit-image.tar", chunks(), said)) == EVERYTHING


def test_pieces_that_are_there_are_passed_over() -> None:
    there = [hashlib.sha256(piece).hexdigest() for piece in pieces()]
    for number in range(3):
        others = [*there]
        others[number] = "0" * 64
        feed = ArchiveFeed("kit-image.tar", chunks(), len(DATA), tuple(others))
        assert taken(feed) == [EVERYTHING[number]]
    assert taken(ArchiveFeed("kit-image.tar", chunks(), len(DATA), tuple(there))) == []
    assert taken(ArchiveFeed("kit-image.tar", chunks(), len(DATA), (there[0],))) == EVERYTHING[1:]


def test_what_is_left_is_known_beforehand() -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(), len(DATA))
    assert feed.left == len(DATA)
    feed.take(1000)
    assert feed.left == len(DATA) - PIECE


def test_a_piece_that_came_back_is_given_again() -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(), len(DATA))
    first, second = feed.take(1000), feed.take(1000)
    assert first is not None
    assert second is not None
    before = given(feed, first)
    feed.arrived(second)
    feed.give_back((first,))
    assert feed.left == len(DATA) - PIECE
    assert feed.take(10) == first
    assert given(feed, first) == before


def test_a_piece_is_told_of_in_slices() -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(), len(DATA))
    record = feed.take(1 << 40)
    assert record is not None
    sent: list[int] = []
    feed.give(FakeLane(), record, sent.append)  # type: ignore[arg-type]
    assert set(sent) == {SLICE}
    assert sum(sent) == PIECE


def test_it_is_whole_when_its_end_is_known_and_every_piece_lies_there() -> None:
    feed = ArchiveFeed("kit-image.tar", chunks(), len(DATA))
    records = [record for _ in range(3) if (record := feed.take(1)) is not None]
    assert not feed.is_whole
    assert feed.take(1) is None
    for record in records:
        assert not feed.is_whole
        feed.arrived(record)
    assert feed.is_whole


def test_an_archive_that_cannot_be_made_to_its_end_is_never_whole() -> None:
    def damaged() -> Iterator[bytes]:
        yield DATA[:PIECE]
        raise VerificationError("damaged", where="bundle")

    feed = ArchiveFeed("kit-image.tar", damaged(), len(DATA))
    record = feed.take(1)
    assert record is not None
    feed.arrived(record)
    with pytest.raises(VerificationError):
        feed.take(1)
    assert feed.take(1) is None
    assert not feed.is_whole
