"""The folder that fetched files wait in, each under its sha256.

Names from a hub never become names on this disk, two revisions of a model share what they have
in common, and several kits may use one cache at once: whoever fetches a file holds a lock on it,
and the lock goes with its process.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.known_files import KnownFiles
from kit.bundle.manifest import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kit.hub.port import HubFile, Place

_PAUSE = 0.2
"""Seconds between two looks at a lock that another kit holds."""
_NO_SURPRISES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def default_cache(folder: Path) -> Path:
    """Return the cache of the project in `folder`."""
    return folder / ".kit" / "hub"


@dataclass(frozen=True, slots=True)
class HubCache:
    """Files by sha256 in `sha256/`, unfinished ones in `partial/`, git's names for them in `git/`."""

    folder: Path
    known: KnownFiles

    @classmethod
    def open(cls, folder: Path) -> HubCache:
        """Return the cache in a folder, which need not be there yet."""
        return cls(folder, KnownFiles.load(folder / "verified.jsonl"))

    def place(self, digest: str) -> Path:
        """Return where a file stands or would stand."""
        return self.folder / "sha256" / digest.removeprefix("sha256:")

    def find(self, file: HubFile) -> Blob | None:
        """Return digest and size of a file that is here whole; a damaged one is removed.

        Raises TransferError when it cannot be read.
        """
        digest = file.digest or self._digest_of(file.git_sha1)
        if digest is None:
            return None
        place, blob = self.place(digest), Blob(digest, file.size)
        if place.is_symlink() or not place.is_file():
            return None
        if self.known.blob_of(place) == blob:
            return blob
        with writing(place):
            place.unlink(missing_ok=True)
        return None

    def _digest_of(self, git_sha1: str | None) -> str | None:
        if git_sha1 is None:
            return None
        with suppress(OSError, ValueError):
            digest = (self.folder / "git" / git_sha1).read_text(encoding="ascii").strip()
            return digest if digest.startswith("sha256:") and "/" not in digest else None
        return None

    def partial(self, place: Place, file: HubFile) -> Path:
        """Return where a file grows. What has a checksum of the hub's goes on growing in a later run."""
        name = (file.digest or "").removeprefix("sha256:") or file.git_sha1
        if name is None:
            name = hashlib.sha256(f"{place}\0{file.path}".encode()).hexdigest()
        return self.folder / "partial" / name

    @contextmanager
    def growing(self, partial: Path, waiting: Callable[[], None]) -> Iterator[int]:
        """Hold a file of `partial/` alone; return it open for reading and writing.

        `waiting` is called while another kit holds it. Raises UnfitError or TransferError when
        the disk fails.
        """
        with writing(partial):
            partial.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _claim(partial, waiting)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def keep(self, partial: Path, blob: Blob, git_sha1: str | None) -> None:
        """Move a verified file into place. Raises UnfitError, TransferError."""
        place = self.place(blob.digest)
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(place)
            place.chmod(0o444)
            sync_folder(place.parent)
            self.known.remember(place, blob.digest)
            if git_sha1 is not None:
                self._note_git(git_sha1, blob.digest)

    def _note_git(self, git_sha1: str, digest: str) -> None:
        note = self.folder / "git" / git_sha1
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary = note.with_name(f"{git_sha1}.{os.getpid()}.new")
        temporary.write_text(digest, encoding="ascii")
        temporary.replace(note)


def _claim(path: Path, waiting: Callable[[], None]) -> int:
    """Return a descriptor of `path` that no other kit has; wait while one has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_SURPRISES, 0o644)
        try:
            if _lock(descriptor) and _is_still(path, descriptor):
                return descriptor
            waiting()
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(_PAUSE)


def _lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: two kits in one cache may then fetch a file twice
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the name still means the open file, which its last holder may have moved away."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
