"""An intake that keeps frames in memory, for tests of chains."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Mapping

from kit.bundle.frame_index import piece_of
from kit.bundle.manifest import Blob
from kit.errors import KitError, VerificationError
from kit.ship.framed import FramedBlob, FrameRanges, framed, numbers_of, ranges_of


def noise_blob(seed: int, frames: int, size: int = 1000) -> tuple[FramedBlob, tuple[bytes, ...]]:
    """Return a blob of random bytes, and its frames' bytes."""
    noise = random.Random(seed)
    pieces = tuple(noise.randbytes(size + number % 7) for number in range(frames))
    whole = b"".join(pieces)
    blob = Blob("sha256:" + hashlib.sha256(whole).hexdigest(), len(whole))
    return framed(blob, tuple(piece_of(piece) for piece in pieces)), pieces


class MemoryIntake:
    """As `kit.ship.agent.intake.Intake`, without a disk."""

    def __init__(self, blobs: Mapping[str, FramedBlob]) -> None:
        self.blobs = dict(blobs)
        self.frames: dict[str, dict[int, bytes]] = {digest: {} for digest in blobs}
        self.writes = 0
        self.ended: KitError | None = None
        self._heard: list[Callable[[str, int, int], None]] = []
        self._lock = threading.Condition()

    def fill(self, pieces: Mapping[str, tuple[bytes, ...]], numbers: Mapping[str, FrameRanges]) -> None:
        """Put frames in, as a lane does."""
        for digest, ranges in numbers.items():
            for number in numbers_of(ranges):
                self.write(digest, number, pieces[digest][number])

    def need(self) -> dict[str, FrameRanges]:
        found = {}
        for digest, blob in self.blobs.items():
            missing = ranges_of(n for n in range(len(blob)) if n not in self.frames[digest])
            if missing:
                found[digest] = missing
        return found

    def write(self, digest: str, frame: int, data: bytes) -> None:
        if hashlib.sha256(data).digest() != self.blobs[digest].frames[frame].stored:
            raise VerificationError("other bytes")
        with self._lock:
            self.writes += 1
            if frame in self.frames[digest]:
                return
            self.frames[digest][frame] = data
            self._lock.notify_all()
        for heard in self._heard:
            heard(digest, frame, frame + 1)

    def read(self, digest: str, frame: int) -> bytes:
        return self.frames[digest][frame]

    def has(self, digest: str, frame: int) -> bool:
        return frame in self.frames[digest]

    def on_frames(self, heard: Callable[[str, int, int], None]) -> None:
        self._heard.append(heard)

    def end(self, error: KitError) -> None:
        self.ended = error

    def wait_until_whole(self, patience: float = 20.0) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self.need(), patience)
