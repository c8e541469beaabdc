"""An iterator of chunks, read by size: exactly so many bytes, or as the file-like object that others take."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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


class ChunkReader:
    """Reads exactly so many bytes at a time out of chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield the next `size` bytes as they come, fewer only at the end of the stream."""
        while size:
            while not self._chunk:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._chunk = memoryview(chunk)
            piece = self._chunk[:size]
            self._chunk = self._chunk[size:]
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end of the stream."""
        if len(self._chunk) >= size:
            piece, self._chunk = self._chunk[:size], self._chunk[size:]
            return bytes(piece)
        return b"".join(self.pieces(size))
