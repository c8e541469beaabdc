"""What is still to be sent to a host, cut into records at the moment when a lane takes one."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from kit.ship.framed import bytes_of
from kit.ship.lanes.script import Record
from kit.ship.needed_frames import run_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kit.ship.framed import FramedBlob, FrameRanges


def _always(digest: str) -> bool:
    del digest
    return True


class RecordQueue:
    """The frames that a host needs, in order. What a lost lane did not finish comes first. Thread-safe."""

    def __init__(
        self,
        need: Mapping[str, FrameRanges],
        blobs: Mapping[str, FramedBlob],
        is_due: Callable[[str], bool] = _always,
    ) -> None:
        """`is_due` tells whether a blob must still be sent, when it is a record's turn."""
        self._is_due = is_due
        self._runs = deque((blobs[digest], *run) for digest, ranges in need.items() for run in ranges)
        self._back: deque[Record] = deque()
        self._left = sum(bytes_of(blobs[digest], ranges) for digest, ranges in need.items())
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Bytes that no lane has taken, and that must be sent."""
        with self._lock:
            self._drop()
            return self._left

    def take(self, most: int) -> Record | None:
        """Return a record of at most `most` bytes, or of one frame; None when there is nothing left."""
        with self._lock:
            self._drop()
            record = self._back.popleft() if self._back else self._cut(most)
            if record is not None:
                self._left -= record.length
            return record

    def give_back(self, records: Iterable[Record]) -> None:
        """Take records back that did not arrive."""
        with self._lock:
            for record in records:
                self._back.append(record)
                self._left += record.length

    def is_due(self, record: Record) -> bool:
        """Tell whether a record must still arrive."""
        return self._is_due(record.digest)

    def _drop(self) -> None:
        """Forget what need not be sent any more, as far as its turn has come."""
        while self._back and not self._is_due(self._back[0].digest):
            self._left -= self._back.popleft().length
        while self._runs and not self._is_due(self._runs[0][0].blob.digest):
            blob, start, stop = self._runs.popleft()
            self._left -= blob.extent(start, stop)[1]

    def _cut(self, most: int) -> Record | None:
        if not self._runs:
            return None
        blob, start, end = self._runs.popleft()
        stop = run_end(blob, start, end, most)
        if stop < end:
            self._runs.appendleft((blob, stop, end))
        return Record(blob.blob.digest, start, stop, *blob.extent(start, stop))
