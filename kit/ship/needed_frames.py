"""What a host's agent says it needs, held against what was offered, and cut into records. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import TransferError
from kit.ship.lane_script import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.ship.framed import FramedBlob, FrameRanges

MOST = 16 << 20
"""Bytes of a record, unless a single frame has more."""


def parse_need(said: Any, blobs: Mapping[str, FramedBlob], host: str) -> dict[str, FrameRanges]:
    """Return the frames that an agent asks for, in the order of `blobs`.

    Raises TransferError for a blob that it was not offered, and for ranges that are none of its frames.
    """
    try:
        need = {digest: tuple((start, stop) for start, stop in ranges) for digest, ranges in said.items()}
        for digest, ranges in need.items():
            _check(ranges, len(blobs[digest]) if digest in blobs else 0)
    except (AttributeError, TypeError, ValueError) as error:
        raise TransferError(
            "it asks for what it was not offered",
            where=host,
            why=str(error)[:200],
            fix="see what answers there: kit check",
        ) from error
    return {digest: need[digest] for digest in blobs if digest in need}


def _check(ranges: FrameRanges, count: int) -> None:
    end = 0
    for start, stop in ranges:
        if type(start) is not int or type(stop) is not int or not end <= start < stop <= count:
            raise ValueError(f"frames {start!r:.40} to {stop!r:.40} of {count}")
        end = stop


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
