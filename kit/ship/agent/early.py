"""Taking over, on a host, what ships sent before their agents ran: under the lock, and when it is at rest."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.ship.early import EARLY_NAME, early_name, new_run

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.blob_store import BlobStore
    from kit.ship.early import Early
    from kit.ship.framed import FrameRanges

_NAME = re.compile(EARLY_NAME)
_OLD = 3600.0
"""Seconds after which nobody writes a file any more that the kernel cannot tell of."""


def take_over(store: BlobStore, early: Early) -> dict[str, FrameRanges]:
    """Move what came early to where blobs grow; return the frames that `early` tells of and that are there.

    Of two files of a blob the one that holds more stays. What another ship may still be writing is left to
    a later one. The host's lock must be held. Raises TransferError.
    """
    known: dict[str, FrameRanges] = {}
    for path in sorted(store.partial.glob("early.*")):
        found = _NAME.fullmatch(path.name)
        if found is None or path.is_symlink() or not path.is_file():
            continue
        own, digest = found[1] == early.run, f"sha256:{found[2]}"
        with writing(path):
            taken = _moved(path, store, digest) if own else _moved_at_rest(path, store, digest)
        if own and taken and digest in early.frames:
            known[digest] = early.frames[digest]
    return known


def _moved_at_rest(path: Path, store: BlobStore, digest: str) -> bool:
    # First out of the reach of whoever knows its name; who has it open then is seen.
    place = path.rename(path.with_name(early_name(new_run(), digest)))
    return _is_at_rest(place) and _moved(place, store, digest)


def _moved(path: Path, store: BlobStore, digest: str) -> bool:
    """Tell whether the file grows on from here; it is removed when there is a better one."""
    grown = store.partial / digest.removeprefix("sha256:")
    if store.path(digest).exists() or (grown.exists() and _held(grown) >= _held(path)):
        path.unlink()
        return False
    path.replace(grown)
    return True


def _held(path: Path) -> int:
    return path.lstat().st_blocks


def _is_at_rest(path: Path) -> bool:
    """Tell whether nobody writes a file: the kernel gives a lease for reading only then (fcntl(2))."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        return False  # Somebody else shipped; no blob could grow in that file.
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        # Not every file system knows leases.
        return error.errno != errno.EAGAIN and time.time() - os.fstat(descriptor).st_mtime > _OLD
    finally:
        os.close(descriptor)
    return True
