"""Where the bytes of records come from: a bundle's files, or an archive that is made on the way."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from kit.byte_stream import ChunkReader
from kit.errors import VerificationError
from kit.ship.lanes.script import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kit.bundle.source import BundleSource
    from kit.host.port import Lane

SLICE = 512 << 10
"""Bytes that are given to a lane at a time, so that it is known how far it is."""
PIECE = 4 << 20
"""Bytes of an archive in one record; they are held in memory until the host has them."""


class Feed(Protocol):
    """Gives lanes the bytes of records, from any thread."""

    def give(self, lane: Lane, record: Record, sent: Callable[[int], None]) -> None:
        """Write a record's bytes into a lane; `sent` hears how many left.

        Raises VerificationError when there are fewer, TransferError when they cannot be read.
        """


class BundleFeed:
    """Passes on the ranges of files that a bundle consists of, unread where the lane can."""

    def __init__(self, source: BundleSource) -> None:
        self._source = source

    def give(self, lane: Lane, record: Record, sent: Callable[[int], None]) -> None:
        """Write a record's bytes into a lane."""
        left = record.length
        for part in self._source.ranges(record.digest, record.offset, record.length):
            for offset in range(part.offset, part.offset + part.length, SLICE):
                wanted = min(SLICE, part.offset + part.length - offset)
                given = lane.send_file(part.path, offset, wanted)
                left -= given
                sent(given)
                if given < wanted:
                    raise self._ends_early(record, left)
        if left:
            raise self._ends_early(record, left)

    def _ends_early(self, record: Record, left: int) -> VerificationError:
        # The host waits for the rest; nothing but the end of the lane can tell it that none comes.
        return VerificationError(
            f"{record.digest} ends early", where=self._source.where, why=f"{left} bytes are missing"
        )


class ArchiveFeed:
    """An archive as a queue of records, made while they are taken, and the feed of these. Thread-safe."""

    def __init__(self, name: str, chunks: Iterable[bytes], size: int, there: tuple[str, ...] = ()) -> None:
        """`name` is the file in `partial/` that it goes to, `size` what it should have.

        `there` are sha256 of the file's pieces as they are on the host; those that fit are passed over.
        """
        self._name = name
        self._reader = ChunkReader(chunks)
        self._size = size
        self._there = there
        self._made = 0
        self._ended = False
        self._broken = False
        self._pieces: dict[int, bytes] = {}
        self._back: deque[Record] = deque()
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Bytes that no lane has taken."""
        unmade = 0 if self._ended else max(self._size - self._made, 1)
        return unmade + sum(record.length for record in tuple(self._back))

    @property
    def is_whole(self) -> bool:
        """Whether all of it lies on the host."""
        with self._lock:
            return self._ended and not self._broken and not self._pieces

    def take(self, most: int) -> Record | None:
        """Return the next record; None at the end. Raises what making the archive raises."""
        del most
        with self._lock:
            if self._back:
                return self._back.popleft()
            while not self._ended:
                offset, piece = self._made, self._next()
                self._made += len(piece)
                self._ended = not piece
                if piece and not self._is_there(offset, piece):
                    self._pieces[offset] = piece
                    return Record(self._name, 0, 1, offset, len(piece))
            return None

    def _next(self) -> bytes:
        try:
            return self._reader.read(PIECE)
        except BaseException:
            # Read on, what makes it would seem to have come to its end.
            self._broken = True
            raise

    def _is_there(self, offset: int, piece: bytes) -> bool:
        number = offset // PIECE
        return number < len(self._there) and hashlib.sha256(piece).hexdigest() == self._there[number]

    def give_back(self, records: Iterable[Record]) -> None:
        """Take records back that did not arrive."""
        with self._lock:
            self._back.extend(records)

    def give(self, lane: Lane, record: Record, sent: Callable[[int], None]) -> None:
        """Write a record's bytes into a lane."""
        view = memoryview(self._pieces[record.offset])
        for start in range(0, len(view), SLICE):
            piece = view[start : start + SLICE]
            lane.write(bytes(piece))
            sent(len(piece))

    def arrived(self, record: Record) -> None:
        """Forget a record that lies on the host."""
        with self._lock:
            del self._pieces[record.offset]
