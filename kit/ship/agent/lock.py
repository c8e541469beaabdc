"""One ship at a time on a host. The kernel lets go of the lock when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOTE_LIMIT = 400


@contextmanager
def held(root: Path, who: str) -> Iterator[None]:
    """Hold the host's lock. Raises TransferError naming who holds it already."""
    path = root / "lock"
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, _NOTE_LIMIT).decode("utf-8", "replace").strip()
            raise TransferError(
                "another ship is at work on this host",
                where=str(path),
                why=f"held by {holder or 'somebody who did not say'}",
                fix="wait for it to end, then run kit ship again",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(
            descriptor, f"{who} since {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())}\n".encode()
        )
        yield
    finally:
        os.close(descriptor)
