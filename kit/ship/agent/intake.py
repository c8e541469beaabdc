"""What comes to a host: which frames are needed, and the proof of every blob before it gets its name."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import writing
from kit.errors import KitError, TransferError
from kit.ship.agent.growing_blob import GrowingBlob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from kit.bundle.blob_store import BlobStore
    from kit.ship.agent.older_frames import OlderFrames
    from kit.ship.framed import FramedBlob, FrameRanges

    Emit = Callable[[dict[str, Any]], None]
    Heard = Callable[[str, int, int], None]

NOTHING_CAME: Mapping[str, FrameRanges] = MappingProxyType({})
_HASHERS = 2
"""Blobs hashed at a time."""


def partial_path(store: BlobStore, digest: str) -> Path:
    """Return where a blob grows until it is whole."""
    return store.partial / digest.removeprefix("sha256:")


def frames_path(store: BlobStore, digest: str) -> Path:
    """Return the second name of a blob's frame index, by which a shell script finds it."""
    return store.folder / "frames" / digest.removeprefix("sha256:")


class Intake:
    """Takes in the blobs that a host lacks. Thread-safe; a context that ends what it began.

    Frames are written into `partial/` by lanes, by another host or from a medium; whoever wrote says
    so (`wrote`, `write`). A blob gets its name when its sha256 is right.
    """

    def __init__(self, store: BlobStore, blobs: Iterable[FramedBlob], emit: Emit) -> None:
        """`blobs` are all that are wanted, those included that are here."""
        self._store = store
        self._emit = emit
        self._blobs = {blob.blob.digest: blob for blob in blobs}
        self._growing: dict[str, GrowingBlob] = {}
        self._proven = {digest for digest, blob in self._blobs.items() if store.has(blob.blob)}
        self._changed = threading.Condition()
        self._error: KitError | None = None
        self._open_jobs = 0
        self._heard: list[Heard] = []
        self._on_end: list[Callable[[], None]] = []
        self._hashers = ThreadPoolExecutor(_HASHERS)
        # Syncing a large file takes seconds; others are hashed meanwhile.
        self._syncer = ThreadPoolExecutor(1)

    def __enter__(self) -> Intake:  # noqa: PYI034 - Self is in typing from 3.11 on
        return self

    def __exit__(self, *_: object) -> None:
        self.end(TransferError("the ship ended"))
        for pool in (self._hashers, self._syncer):
            pool.shutdown(wait=True, cancel_futures=True)
        for growing in self._growing.values():
            growing.close()

    def begin(self, older: OlderFrames, came: Mapping[str, FrameRanges] = NOTHING_CAME) -> None:
        """Find what killed ships left and what older blobs hold. Raises UnfitError, TransferError.

        `came` are frames that are known to have been written into `partial/`, by blob.
        """
        with writing(self._store.partial):
            self._store.partial.mkdir(parents=True, exist_ok=True, mode=0o700)
        for digest, blob in self._blobs.items():
            if digest not in self._proven:
                self._growing[digest] = GrowingBlob(partial_path(self._store, digest), blob)
        missing = tuple(self._growing.items())
        for _ in self._hashers.map(lambda item: _prepare(item[1], older, came.get(item[0], ())), missing):
            pass
        for digest in self._growing:
            self._prove_soon(digest)

    def framed(self, digest: str) -> FramedBlob:
        """Return a wanted blob with its frames. Raises KeyError."""
        return self._blobs[digest]

    @property
    def blobs(self) -> tuple[FramedBlob, ...]:
        """All that are wanted, those included that are here."""
        return tuple(self._blobs.values())

    def need(self) -> dict[str, FrameRanges]:
        """Return the frames that are still missing, by blob."""
        found = {digest: growing.missing() for digest, growing in self._growing.items()}
        return {digest: ranges for digest, ranges in found.items() if ranges and digest not in self._proven}

    def wrote(self, digest: str, start: int, stop: int) -> None:
        """Take note that frames lie in `partial/`. Raises TransferError when there are no such frames."""
        growing = self._growing.get(digest)
        if growing is None or not 0 <= start < stop <= len(growing.framed):
            raise TransferError(f"frames {start} to {stop} of {digest} are none that were asked for")
        growing.mark(start, stop)
        self._tell(digest, start, stop)
        self._hash_soon(digest)

    def write(self, digest: str, frame: int, data: bytes | memoryview) -> None:
        """Write a frame that came to this process. Raises VerificationError, UnfitError, TransferError."""
        growing = self._growing.get(digest)
        if growing is None or not 0 <= frame < len(growing.framed):
            raise TransferError(f"frame {frame} of {digest} is none that was asked for")
        if digest in self._proven or growing.has(frame):
            return
        growing.write(frame, data)
        self._tell(digest, frame, frame + 1)
        self._hash_soon(digest)

    def has(self, digest: str, frame: int) -> bool:
        """Tell whether a frame is here, to be passed on."""
        if digest in self._proven:
            return True
        growing = self._growing.get(digest)
        return growing is not None and 0 <= frame < len(growing.framed) and growing.has(frame)

    def read(self, digest: str, frame: int) -> bytes:
        """Return a frame that is here. Raises TransferError when it cannot be read."""
        growing = self._growing.get(digest)
        if growing is not None:
            return growing.read(frame)  # The descriptor stays good when the file gets its name.
        blob = self._blobs[digest]
        offset, length = blob.extent(frame, frame + 1)
        return b"".join(self._store.read(blob.blob, offset, length))

    def on_frames(self, heard: Heard) -> None:
        """Have `heard` told (digest, start, stop) whenever frames come to be here, from any thread."""
        self._heard.append(heard)

    def wait(self, digest: str) -> None:
        """Return when a blob is here whole. Raises what ended the intake."""

        def whole() -> bool:
            return digest not in self._growing or digest in self._proven

        with self._changed:
            self._changed.wait_for(lambda: whole() or self._error is not None)
            if not whole():
                raise self._failure()

    def settle(self) -> None:
        """Return when all that was written is hashed and named. Raises what ended the intake."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open_jobs or self._error is not None)
            if self._error is not None:
                raise self._failure()

    def on_end(self, heard: Callable[[], None]) -> None:
        """Have `heard` called when the intake is given up, from any thread."""
        self._on_end.append(heard)

    def end(self, error: KitError) -> None:
        """Give up, unless everything is proven; whoever waits hears of it. The first error stays."""
        with self._changed:
            if self._error is not None or self._proven >= self._blobs.keys():
                return
            self._error = error
            self._changed.notify_all()
        for heard in self._on_end:
            heard()

    def _failure(self) -> KitError:
        assert self._error is not None  # noqa: S101 - only asked for when there is one
        return self._error

    def _tell(self, digest: str, start: int, stop: int) -> None:
        for heard in self._heard:
            heard(digest, start, stop)

    def _hash_soon(self, digest: str) -> None:
        if self._growing[digest].claim():
            self._submit(self._hashers, self._hash, digest)

    def _prove_soon(self, digest: str) -> None:
        """As far as it is here; an empty blob is here whole."""
        growing = self._growing[digest]
        if growing.claim() or not len(growing.framed):
            self._submit(self._hashers, self._hash, digest)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[str], None], digest: str) -> None:
        with self._changed:
            if self._error is not None:
                return
            self._open_jobs += 1
        with suppress(RuntimeError):  # The pool is closing; so is all else.
            pool.submit(self._run, work, digest)

    def _run(self, work: Callable[[str], None], digest: str) -> None:
        try:
            work(digest)
        except KitError as error:
            self.end(error)
        except BaseException as failure:  # noqa: BLE001 - whoever waits must hear of it
            self.end(TransferError("taking in failed", where=digest, why=repr(failure)))
        finally:
            with self._changed:
                self._open_jobs -= 1
                self._changed.notify_all()

    def _hash(self, digest: str) -> None:
        growing = self._growing[digest]
        if not growing.catch_up():
            return
        if growing.is_right():
            self._submit(self._syncer, self._adopt, digest)

    def _adopt(self, digest: str) -> None:
        growing = self._growing[digest]
        self._store.adopt(growing.path, growing.framed.blob)
        self._name_index(growing.framed)
        with self._changed:
            self._proven.add(digest)
            self._changed.notify_all()
        self._emit({"event": "proven", "digest": digest})

    def _name_index(self, blob: FramedBlob) -> None:
        if blob.index is None:
            return
        path = frames_path(self._store, blob.blob.digest)
        with writing(path), suppress(FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.link(self._store.path(blob.index.digest), path, follow_symlinks=False)


def _prepare(growing: GrowingBlob, older: OlderFrames, came: FrameRanges) -> None:
    if came and max(stop for _, stop in came) <= len(growing.framed):
        # As with all frames that are told of, the sha256 of the whole finds it when they are not there.
        for start, stop in came:
            growing.mark(start, stop)
    else:
        growing.find_present()
    older.fill(growing)
