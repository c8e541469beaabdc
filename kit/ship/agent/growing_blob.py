"""One blob that comes in frame by frame, in any order, into a sparse file of `partial/`.

Whoever writes a frame only says so. The bytes are hashed here once, in order, behind the writers; the
sha256 of the whole proves the blob. The digests of frames are asked where the whole cannot tell: which
of the bytes that a killed ship left are good, and which are bad when the whole does not fit.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.write_behind import WriteBehind
from kit.errors import TransferError, VerificationError
from kit.ship.framed import ranges_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.ship.framed import FramedBlob, FrameRanges

_READ = 4 << 20


class GrowingBlob:
    """The file of a blob that is not whole yet, and which of its frames it holds. Thread-safe."""

    def __init__(self, path: Path, framed: FramedBlob) -> None:
        """Open or make the file. Raises UnfitError, TransferError."""
        self.path = path
        self.framed = framed
        self._lock = threading.Lock()
        self._present = bytearray(len(framed))
        self._refused: set[int] = set()
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._busy = False
        with writing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if os.fstat(self._file).st_size > framed.blob.size:
                os.ftruncate(self._file, framed.blob.size)
        self._behind = WriteBehind(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def has(self, frame: int) -> bool:
        """Tell whether a frame lies here, as far as it is known."""
        return bool(self._present[frame])

    def missing(self) -> FrameRanges:
        """Return the frames that do not lie here."""
        return ranges_of(number for number, there in enumerate(self._present) if not there)

    def mark(self, start: int, stop: int) -> None:
        """Take note that frames were written."""
        with self._lock:
            self._present[start:stop] = b"\1" * (stop - start)

    def read(self, frame: int) -> bytes:
        """Return a frame's bytes as they lie here, unproven. Raises TransferError."""
        offset, length = self.framed.extent(frame, frame + 1)
        return b"".join(self._pieces(offset, length))

    def write(self, frame: int, data: bytes | memoryview) -> None:
        """Write a frame, which must have its digest. Raises VerificationError, UnfitError, TransferError."""
        record = self.framed.frames[frame]
        if len(data) != record.stored_size or hashlib.sha256(data).digest() != record.stored:
            raise VerificationError(
                f"frame {frame} of {self.framed.blob.digest} arrived with other bytes", where=str(self.path)
            )
        with writing(self.path):
            view, place = memoryview(data), self.framed.offsets[frame]
            while view:
                count = os.pwrite(self._file, view, place)
                view, place = view[count:], place + count
        self.mark(frame, frame + 1)

    def copy(self, frame: int, source: int, offset: int) -> None:
        """Copy a frame out of another file, unproven; nothing comes of a file that is too short."""
        place, left = self.framed.extent(frame, frame + 1)
        with writing(self.path):
            while left:
                count = _copy(source, self._file, left, offset, place)
                if not count:
                    return
                offset, place, left = offset + count, place + count, left - count
        self.mark(frame, frame + 1)

    def find_present(self) -> None:
        """Hash what a killed ship left, frame by frame, and count what is good as here."""
        for frame in _in_extents(self.framed, self._data_extents()):
            if self._fits(frame):
                self._present[frame] = 1

    def _data_extents(self) -> Iterator[tuple[int, int]]:
        """Yield start and end of what is not a hole."""
        end = 0
        while True:
            try:
                start = os.lseek(self._file, end, os.SEEK_DATA)
                end = os.lseek(self._file, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise self._unreadable(error) from error
                return
            yield start, end

    def _fits(self, frame: int) -> bool:
        return hashlib.sha256(self.read(frame)).digest() == self.framed.frames[frame].stored

    def _pieces(self, offset: int, length: int) -> Iterator[bytes]:
        while length:
            try:
                piece = os.pread(self._file, min(length, _READ), offset)
            except OSError as error:
                raise self._unreadable(error) from error
            if not piece:
                return
            offset, length = offset + len(piece), length - len(piece)
            yield piece

    def _unreadable(self, error: OSError) -> TransferError:
        return TransferError("cannot be read", where=str(self.path), why=error.strerror or str(error))

    def claim(self) -> bool:
        """Tell whether there is something to hash and nobody does; the caller must then `catch_up`."""
        with self._lock:
            if self._busy or not self._next():
                return False
            self._busy = True
            return True

    def _next(self) -> bool:
        return self._hashed < len(self.framed) and bool(self._present[self._hashed])

    def catch_up(self) -> bool:
        """Hash on, as far as frames lie in order; tell whether that was all of the blob.

        Raises TransferError when reading fails.
        """
        while True:
            with self._lock:
                if not self._next():
                    self._busy = False
                    return self._hashed == len(self.framed)
            for piece in self._pieces(*self.framed.extent(self._hashed, self._hashed + 1)):
                self._hash.update(piece)
            self._hashed += 1
            self._behind.wrote(self.framed.offsets[self._hashed])

    def is_right(self) -> bool:
        """Tell whether all of it has the blob's sha256; drop the frames that are bad when it has not.

        Raises VerificationError when a frame came wrong twice, or none is bad: its index is false.
        """
        if "sha256:" + self._hash.hexdigest() == self.framed.blob.digest:
            return True
        bad = {number for number in range(len(self.framed)) if not self._fits(number)}
        again = bad & self._refused
        if not bad or again:
            raise self._refuse(
                f"frame {min(again)} came wrong twice" if again else "its frame index is false"
            )
        with self._lock:
            self._refused |= bad
            for number in bad:
                self._present[number] = 0
            self._hash, self._hashed = hashlib.sha256(), 0
        return False

    def _refuse(self, why: str) -> VerificationError:
        self.path.unlink(missing_ok=True)
        return VerificationError(
            f"{self.framed.blob.digest} arrived with other bytes",
            where=str(self.path),
            why=f"{why}; nothing of it was kept",
            fix="kit verify the bundle, then kit ship again",
        )


def _copy(source: int, target: int, count: int, offset: int, place: int) -> int:
    """Copy within the kernel, which shares blocks where the file system can; or else through here."""
    try:
        return os.copy_file_range(source, target, count, offset, place)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
    return os.pwrite(target, os.pread(source, count, offset), place)


def _in_extents(framed: FramedBlob, extents: Iterator[tuple[int, int]]) -> Iterator[int]:
    """Yield the frames that lie in any of the extents as a whole."""
    frame = 0
    for start, end in extents:
        while frame < len(framed) and framed.offsets[frame] < start:
            frame += 1
        while frame < len(framed) and framed.offsets[frame + 1] <= end:
            yield frame
            frame += 1
