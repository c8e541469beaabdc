"""What a host's agent says it needs, held against what was offered, and cut into records. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import TransferError
from kit.ship.framed import bytes_of
from kit.ship.lanes.script import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.ship.framed import FramedBlob, FrameRanges

MOST = 16 << 20
"""Bytes of a record, unless a single frame has more."""
MOST_TIMES = 4
"""Times that a host may ask for all that it was offered."""
MOST_ROUNDS = 1000


def parse_need(said: Any, blobs: Mapping[str, FramedBlob], host: str) -> dict[str, FrameRanges]:
    """Return the frames that an agent asks for, in the order of `blobs`.

    Raises TransferError for a blob that it was not offered, and for ranges that are none of its frames.
    """
    try:
        need = {
            digest: tuple(_checked(ranges, len(blobs[digest]) if digest in blobs else 0))
            for digest, ranges in said.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise TransferError(
            "it asks for what it was not offered",
            where=host,
            why=str(error)[:200],
            fix="see what answers there: kit check",
        ) from error
    return {digest: need[digest] for digest in blobs if digest in need}


def _checked(ranges: Any, count: int) -> Iterator[tuple[int, int]]:
    end = 0
    for start, stop in ranges:
        if type(start) is not int or type(stop) is not int or not end <= start < stop <= count:
            raise ValueError(f"frames {start!r:.40} to {stop!r:.40} of {count}")
        end = stop
        yield start, stop


class Asked:
    """What one host has asked for in all: a frame may be lost or damaged on the way, but not for ever."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._bytes = 0
        self._rounds = 0

    def count(self, need: Mapping[str, FrameRanges], blobs: Mapping[str, FramedBlob]) -> int:
        """Return the bytes that are asked for now. Raises TransferError when a host never has enough."""
        size = sum(bytes_of(blobs[digest], ranges) for digest, ranges in need.items())
        self._bytes += size
        whole = sum(blob.blob.size for blob in blobs.values())
        if self._bytes > MOST_TIMES * whole:
            raise self._refuse(f"{self._bytes} bytes of {whole}")
        return size

    def turn(self) -> None:
        """Take note of a round. Raises as `count` does."""
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            raise self._refuse(f"{self._rounds} times")

    def _refuse(self, why: str) -> TransferError:
        return TransferError(
            "it asks for the same frames again and again",
            where=self._host,
            why=why,
            fix="look at that host's disk (dmesg), and at what answers there: kit check",
        )


def run_end(blob: FramedBlob, start: int, end: int, most: int) -> int:
    """Return where a run of frames from `start` ends: at `end`, or when one more would make it too large."""
    stop = start + 1
    while stop < end and blob.offsets[stop + 1] - blob.offsets[start] <= most:
        stop += 1
    return stop


def cut_records(
    need: Mapping[str, FrameRanges], blobs: Mapping[str, FramedBlob], most: int = MOST
) -> Iterator[Record]:
    """Yield records of at most `most` bytes for the frames that are needed; a frame is never cut."""
    for digest, ranges in need.items():
        blob = blobs[digest]
        for begin, end in ranges:
            start = begin
            while start < end:
                stop = run_end(blob, start, end, most)
                yield Record(digest, start, stop, *blob.extent(start, stop))
                start = stop
