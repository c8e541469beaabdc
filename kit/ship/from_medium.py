"""Feeding what a host lacks from a bundle that it can read itself, on a disk that was carried to it.

Frames are read once each, in the order in which they lie, so that a disc or a slow disk is never sought on;
while one thread reads, the other proves and writes. A damaged frame does not end it: the rest is taken in,
so that a medium must be mended and read again only where it is damaged.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import TransferError, VerificationError
from kit.ship.needed_frames import cut_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.bundle.source import BundleSource
    from kit.ship.agent.intake import Intake
    from kit.ship.framed import FramedBlob
    from kit.ship.lanes.script import Record

_THREADS = 2
_READ = 8 << 20
"""Bytes read at a time, whole frames."""
_WHOLE_LIMIT = 256 << 20
"""Most bytes of a frame; kit itself writes none beyond 5 MB."""
_SHOWN = 5
_FIX = "put the medium back, then kit load again: it goes on where it stopped"


@dataclass(frozen=True, slots=True)
class Damage:
    """A frame that is not what its index says."""

    digest: str
    frame: int
    files: tuple[str, ...]
    """Paths of the files that hold it: one, or volumes that follow each other."""


class DamagedMediumError(VerificationError):
    """Some of a medium's frames are damaged; all others were taken in."""

    def __init__(self, source: BundleSource, damages: tuple[Damage, ...]) -> None:
        shown = [f"frame {damage.frame} of {damage.digest}" for damage in damages[:_SHOWN]]
        more = f" and {len(damages) - _SHOWN} more" if len(damages) > _SHOWN else ""
        self.damaged = frozenset(damage.files[0] for damage in damages if len(damage.files) == 1)
        """Paths of files that hold a damaged frame as a whole."""
        self.suspects = frozenset(path for damage in damages for path in damage.files) - self.damaged
        """Paths of files that hold a part of one."""
        super().__init__(
            f"damaged: {', '.join(sorted(self.damaged | self.suspects))}",
            where=source.where,
            why=", ".join(shown) + more + "; everything else was taken in",
            fix="copy it again, then kit load again: it reads only what is missing",
        )


def fed_from_medium(intake: Intake, source: BundleSource, heard: Callable[[int], None]) -> None:
    """Bring what an intake needs; `heard` is told of the bytes read, from any thread.

    Raises DamagedMediumError when all that is good was taken in, TransferError when the medium cannot be
    read any more, and what ends the intake.
    """
    intake.settle()
    while need := intake.need():
        need = {digest: need[digest] for digest in sorted(need, key=lambda it: _place(source, it))}
        blobs = {digest: intake.framed(digest) for digest in need}
        reader = _Reader(source, blobs, cut_records(need, blobs, _READ), heard)
        intake.on_end(reader.stop)
        with ThreadPoolExecutor(_THREADS) as pool:
            works = [pool.submit(reader.work, intake) for _ in range(_THREADS)]
        for work in works:
            work.result()
        intake.settle()
        if reader.damages:
            raise DamagedMediumError(source, tuple(reader.damages))


def _place(source: BundleSource, digest: str) -> tuple[str, int]:
    """Return what blobs are ordered by: where they begin, unless each is a file of its own."""
    first = next(source.ranges(digest, 0, 1))
    return (str(first.path), first.offset) if first.offset else ("", 0)


class _Reader:
    """Reads records in their order, one at a time; whoever has read one takes it in."""

    def __init__(
        self,
        source: BundleSource,
        blobs: dict[str, FramedBlob],
        records: Iterator[Record],
        heard: Callable[[int], None],
    ) -> None:
        self._source = source
        self._blobs = blobs
        self._records = records
        self._heard = heard
        self._lock = threading.Lock()
        self.damages: list[Damage] = []

    def work(self, intake: Intake) -> None:
        """Read and take in until nothing is left, or anything fails."""
        try:
            while (found := self._next()) is not None:
                self._take(intake, *found)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Read no more: the other thread failed, or loading did."""
        self._records = iter(())

    def _next(self) -> tuple[Record, bytes] | None:
        with self._lock:
            record = next(self._records, None)
            if record is None:
                return None
            if record.length > _WHOLE_LIMIT:
                why = f"a frame of {record.length} bytes, which kit does not write"
                raise VerificationError(f"{record.digest} cannot be read", where=self._source.where, why=why)
            data = self._read(record)
        self._heard(len(data))
        return record, data

    def _read(self, record: Record) -> bytes:
        try:
            data = b"".join(self._source.read_range(record.digest, record.offset, record.length))
        except TransferError as error:
            error.fix = error.fix or _FIX
            raise
        if len(data) != record.length:
            (*_, last) = self._source.ranges(record.digest, record.offset, len(data) + 1)
            raise TransferError("the medium ends early", where=str(last.path), fix=_FIX)
        return data

    def _take(self, intake: Intake, record: Record, data: bytes) -> None:
        blob, view = self._blobs[record.digest], memoryview(data)
        for number in range(record.start, record.stop):
            offset, length = blob.extent(number, number + 1)
            try:
                intake.write(record.digest, number, view[offset - record.offset :][:length])
            except VerificationError:
                files = tuple(str(it.path) for it in self._source.ranges(record.digest, offset, length))
                self.damages.append(Damage(record.digest, number, files))
