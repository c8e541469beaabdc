"""The locks that this machine worked for: making room for one project keeps what the others need.

A file for each in the cache, named by the lock's path and holding it, so that nothing is ever written
by two commands at once.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from kit.images.install_packages import cache_folder


def _record(lock: Path) -> Path:
    name = hashlib.sha256(bytes(lock)).hexdigest()[:16]
    return cache_folder() / "projects" / name


def remember_lock(lock: Path) -> None:
    """Note that a kit.lock stands there. A disk that refuses it is passed over: caches are rebuilt."""
    whole = lock.absolute()
    with suppress(OSError):
        record = _record(whole)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_bytes(bytes(whole))


def remembered_locks() -> tuple[Path, ...]:
    """Return the locks that were noted and still stand there, sorted. Records of others are removed."""
    found = []
    for record in (cache_folder() / "projects").glob("*"):
        with suppress(OSError):
            lock = Path(os.fsdecode(record.read_bytes()))
            if _is_gone(lock):
                record.unlink()
            else:
                found.append(lock)
    return tuple(sorted(found))


def _is_gone(lock: Path) -> bool:
    """Tell whether no lock stands there; one that cannot be looked at may."""
    try:
        return not lock.is_file()
    except OSError:
        return False
