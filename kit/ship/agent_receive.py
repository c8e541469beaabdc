"""Taking blobs in on a host: hashed while they are written, renamed into place when proven."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import writing
from kit.bundle.digest import Hasher, read_file
from kit.errors import TransferError, VerificationError
from kit.ship.frames import read_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.blob_store import BlobStore
    from kit.bundle.manifest import Blob
    from kit.ship.frames import Input

    Emit = Callable[[dict[str, Any]], None]


def partial_path(store: BlobStore, blob: Blob) -> Path:
    """Return where a blob grows until it is whole."""
    return store.partial / blob.digest.removeprefix("sha256:")


def missing_of(store: BlobStore, blobs: tuple[Blob, ...]) -> tuple[Blob, ...]:
    """Return the blobs that are not there whole; what stood in a damaged one's place is removed."""
    missing = []
    for blob in blobs:
        if not store.has(blob):
            store.path(blob.digest).unlink(missing_ok=True)
            missing.append(blob)
    return tuple(missing)


def receive_blobs(store: BlobStore, sends: tuple[tuple[Blob, int], ...], stream: Input, emit: Emit) -> int:
    """Take in the blobs that follow on `stream`; return how many bytes came.

    A blob with the wrong bytes is refused whole: VerificationError names it, and nothing of it
    stays. When the stream ends early, what arrived of the current blob stays for the next ship.
    """
    with writing(store.partial):
        store.partial.mkdir(parents=True, exist_ok=True, mode=0o700)
    came = 0
    pending: list[Future[None]] = []
    # Syncing a large file takes seconds; the next blob comes in meanwhile.
    with ThreadPoolExecutor(1) as syncing:
        for blob, offset in sends:
            path = partial_path(store, blob)
            came += _receive(path, blob, offset, stream)
            pending.append(syncing.submit(store.adopt, path, blob))
            emit({"event": "received", "digest": blob.digest})
    for future in pending:
        future.result()
    return came


def _receive(path: Path, blob: Blob, offset: int, stream: Input) -> int:
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        hasher = _resume(descriptor, path, offset)
        for piece in read_frames(stream):
            hasher.update(piece)
            if hasher.size > blob.size:
                break
            with writing(path):
                _write(descriptor, piece)
    finally:
        os.close(descriptor)
    if hasher.blob != blob:
        path.unlink(missing_ok=True)
        raise VerificationError(
            f"{blob.digest} arrived with other bytes",
            where=str(path),
            why=f"{hasher.size} bytes with {hasher.digest} came; nothing of it was kept",
            fix="kit verify the bundle, then kit ship again",
        )
    return hasher.size - offset


def _write(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _resume(descriptor: int, path: Path, offset: int) -> Hasher:
    """Hash what is there up to `offset`, drop what is beyond, and stand at its end."""
    hasher = Hasher()
    for chunk in read_file(path, 0, offset):
        hasher.update(chunk)
    if hasher.size != offset:
        raise TransferError(
            "what an earlier ship left has changed meanwhile", where=str(path), fix="run kit ship again"
        )
    with writing(path):
        os.ftruncate(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
    return hasher
