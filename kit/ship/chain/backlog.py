"""What one host still owes its successor: frames that it was asked for, as far as they are here."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from kit.ship.framed import numbers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.ship.chain.wire import Want
    from kit.ship.framed import FramedBlob

    class _Held(Protocol):
        def has(self, digest: str, frame: int) -> bool: ...


class Backlog:
    """Frames to be given, in the order in which they come to be here. Thread-safe."""

    def __init__(self, held: _Held, blobs: Mapping[str, FramedBlob]) -> None:
        self._held = held
        self._blobs = blobs
        self._lock = threading.Condition()
        self._waiting: dict[str, set[int]] = {}
        """Asked for, and not here."""
        self._ready: deque[tuple[str, int]] = deque()
        self._given: set[tuple[str, int]] = set()
        self._behind = 0
        self._ended = False

    def want(self, want: Want) -> None:
        """Replace what is asked for; what was given is given again only where that is said."""
        with self._lock:
            self._given -= {(digest, frame) for digest, r in want.again.items() for frame in numbers_of(r)}
            self._waiting, self._behind = {}, 0
            self._ready.clear()
            for digest, ranges in want.blobs.items():
                asked = {number for number in numbers_of(ranges) if (digest, number) not in self._given}
                self._waiting[digest] = asked
                self._move(digest, sorted(number for number in asked if self._held.has(digest, number)))

    def arrived(self, digest: str, start: int, stop: int) -> None:
        """Take note of frames that came to be here."""
        with self._lock:
            asked = self._waiting.get(digest)
            if asked:
                self._move(digest, [number for number in range(start, stop) if number in asked])

    def _move(self, digest: str, numbers: list[int]) -> None:
        for number in numbers:
            self._waiting[digest].remove(number)
            self._ready.append((digest, number))
            self._behind += self._size(digest, number)
        if numbers:
            self._lock.notify_all()

    def _size(self, digest: str, number: int) -> int:
        return self._blobs[digest].extent(number, number + 1)[1]

    def take(self, patience: float) -> tuple[str, int] | None:
        """Return the next frame to give; None when there is none for so many seconds, or at the end."""
        with self._lock:
            self._lock.wait_for(lambda: self._ready or self._ended, patience)
            if self._ended or not self._ready:
                return None
            digest, number = self._ready.popleft()
            self._given.add((digest, number))
            return digest, number

    def gave(self, digest: str, number: int) -> None:
        """Take note that a frame is out."""
        with self._lock:
            self._behind = max(0, self._behind - self._size(digest, number))

    @property
    def behind(self) -> int:
        """Bytes that could be given at once."""
        return self._behind

    @property
    def ended(self) -> bool:
        """Nothing more will be given."""
        return self._ended

    def end(self) -> None:
        """Give nothing more; whoever waits hears of it."""
        with self._lock:
            self._ended = True
            self._lock.notify_all()
