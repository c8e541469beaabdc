"""An iterator of chunks as the file-like object that tarfile and zstandard read from."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable


class _ByteStream:
    """Reads chunks as one stream of bytes, forward only."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Return bytes, at most `size` of them; none only at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        if size < 0:
            size = len(self._rest)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)


def byte_stream(chunks: Iterable[bytes]) -> IO[bytes]:
    """Return the chunks as a stream that can be read, and nothing else."""
    return cast("IO[bytes]", _ByteStream(chunks))
