"""sha256 over streams, with the size as a hard limit."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from kit.bundle.manifest import Blob
from kit.errors import TransferError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at a time."""


class Hasher:
    """Takes bytes and tells their digest and size."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """`sha256:…` of what was seen so far."""
        return "sha256:" + self._hash.hexdigest()

    @property
    def blob(self) -> Blob:
        """Digest and size of what was seen so far."""
        return Blob(self.digest, self.size)

    def update(self, chunk: bytes) -> None:
        """Take more bytes."""
        self._hash.update(chunk)
        self.size += len(chunk)

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks unchanged while they are taken in."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk


def blob_of(data: bytes) -> Blob:
    """Return digest and size of bytes in memory."""
    return Blob("sha256:" + hashlib.sha256(data).hexdigest(), len(data))


def hash_chunks(chunks: Iterable[bytes]) -> Blob:
    """Return digest and size of a stream, read to its end."""
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.blob


def sha256_of_file(path: Path) -> Blob:
    """Return digest and size of a file. Raises TransferError when it cannot be read."""
    return hash_chunks(read_file(path))


def verified(chunks: Iterable[bytes], blob: Blob, where: str) -> Iterator[bytes]:
    """Yield the chunks; never more than `blob.size` bytes.

    Raises VerificationError, at the latest after the last chunk, unless size and sha256 are the
    blob's. What was yielded must not be used before the iterator has ended.
    """
    hasher = Hasher()
    for chunk in chunks:
        if hasher.size + len(chunk) > blob.size:
            raise wrong_bytes(blob, where, f"more than its {blob.size} bytes")
        hasher.update(chunk)
        yield chunk
    if hasher.size != blob.size:
        raise wrong_bytes(blob, where, f"{hasher.size} bytes in place of {blob.size}")
    if hasher.digest != blob.digest:
        raise wrong_bytes(blob, where, f"its bytes have {hasher.digest}")


def wrong_bytes(blob: Blob, where: str, why: str) -> VerificationError:
    """Return the error for bytes that are not the blob's."""
    return VerificationError(
        f"{blob.digest} is damaged or was exchanged",
        where=where,
        why=why,
        fix="fetch the bundle again from where it was made, or run kit bundle there",
    )


def open_regular(path: Path) -> int:
    """Return a descriptor of a plain file opened for reading; the last part of the path is no symlink.

    The caller closes it. Raises TransferError, VerificationError when it is a link, a pipe, a device.
    """
    # Opening a pipe would wait for its writer.
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_BINARY", "O_NONBLOCK"))
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP or path.is_symlink():
            raise _not_plain(path) from error
        raise TransferError("cannot be read", where=str(path), why=error.strerror or str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain(path)
    return descriptor


def _not_plain(path: Path) -> VerificationError:
    return VerificationError("no plain file", where=str(path), fix="put the file itself there")


def read_file(path: Path, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Yield `length` bytes of a file (None: all that follow) from `offset`, fewer where it ends.

    Symlinks are not followed. Raises TransferError when the file cannot be read, VerificationError
    when it is no plain file.
    """
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        try:
            file.seek(offset)
            left = length
            while left is None or left > 0:
                chunk = file.read(CHUNK if left is None else min(CHUNK, left))
                if not chunk:
                    return
                if left is not None:
                    left -= len(chunk)
                yield chunk
        except OSError as error:
            raise TransferError(
                "cannot be read", where=str(path), why=error.strerror or str(error)
            ) from error
