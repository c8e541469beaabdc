"""A folder for files that last as long as this process: whoever comes later removes what a killed one left.

Its maker holds a lock on it, which the kernel lets go of however the process ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path


class HeldFolder:
    """A new temporary folder, 0700; those of its prefix that nobody holds are removed first."""

    def __init__(self, prefix: str) -> None:
        """Make it. Raises OSError where that cannot be done."""
        _remove_unheld(prefix)
        descriptor: int | None = None
        while descriptor is None:
            self.path = Path(tempfile.mkdtemp(prefix=prefix))
            descriptor = _hold(self.path, wait=True)
        self._finish = weakref.finalize(self, _remove, self.path, descriptor)

    def remove(self) -> None:
        """Remove it, which the end of the process does too; what resists is left to whoever comes later."""
        self._finish()


def _remove(folder: Path, descriptor: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if descriptor >= 0:
        os.close(descriptor)


def _hold(folder: Path, *, wait: bool) -> int | None:
    """Return a descriptor that holds a folder, or None when another holds it or it is gone.

    Where there are no such locks, -1 for one's own folder.
    """
    try:
        import fcntl
    except ImportError:
        return -1 if wait else None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.fstat(descriptor), folder.lstat()) and _is_mine(descriptor):
            return descriptor
    except OSError:
        pass  # Held, or removed between its making and its holding.
    os.close(descriptor)
    return None


def _is_mine(descriptor: int) -> bool:
    return os.fstat(descriptor).st_uid == os.getuid()


def _remove_unheld(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        descriptor = _hold(folder, wait=False)
        if descriptor is not None:
            _remove(folder, descriptor)
