"""Layers between their two forms: the engine's plain tar and the bundle's zstd.

One pass and constant memory: the plain bytes are hashed (the diffID) while worker threads
compress them and the compressed bytes are hashed as they are written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.bundle.byte_stream import byte_stream
from kit.bundle.digest import CHUNK, Hasher, verified
from kit.bundle.manifest import Blob, Layer
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.target import PackedBlobs

LEVEL = 3
_MOST_THREADS = 8


def _compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    # Any number of worker threads from one on gives the same bytes; none at all gives others.
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=threads).compressobj()
    for chunk in chunks:
        piece = compressor.compress(chunk)
        if piece:
            yield piece
    yield compressor.flush()


def store_layer(plain: Iterable[bytes], store: PackedBlobs) -> Layer:
    """Compress a layer's plain tar into the store; return both its forms.

    Raises what the stream raises, UnfitError or TransferError when the disk fails.
    """
    hasher = Hasher()
    blob = store.write(_compressed(hasher.watch(plain)))
    return Layer(blob.digest, blob.size, hasher.digest, hasher.size)


def _decompressed(chunks: Iterable[bytes], limit: int, where: str) -> Iterator[bytes]:
    import zstandard

    reader = zstandard.ZstdDecompressor().stream_reader(byte_stream(chunks), read_across_frames=True)
    size = 0
    try:
        while piece := reader.read(CHUNK):
            size += len(piece)
            if size > limit:
                return
            yield piece
    except zstandard.ZstdError as error:
        raise VerificationError("a layer is not zstd", where=where, why=str(error)) from error


def plain_layer(chunks: Iterable[bytes], layer: Layer, where: str) -> Iterator[bytes]:
    """Yield the plain tar of a stored layer, never more than its `plain_size`.

    Raises VerificationError, at the latest after the last chunk, unless it has the layer's
    diffID; whatever `chunks` raises passes through.
    """
    plain = Blob(layer.diff_id, layer.plain_size)
    # A little beyond the limit is let through, for `verified` to refuse it.
    return verified(_decompressed(chunks, layer.plain_size + CHUNK, where), plain, where)
