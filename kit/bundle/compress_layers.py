"""Layers between their two forms: the engine's plain tar and the bundle's frames of zstd.

One pass and constant memory: the tar is cut as it streams by; threads hash and compress the frames,
or find them compressed already; they are written in order while the whole is hashed.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from kit.bundle.byte_stream import byte_stream
from kit.bundle.cut_frames import cut_tar
from kit.bundle.digest import CHUNK, Hasher, verified
from kit.bundle.frame_index import Frame, dump_index
from kit.bundle.manifest import Blob, Layer
from kit.bundle.ordered_work import in_order
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.known_frames import KnownFrames
    from kit.bundle.target import PackedBlobs
    from kit.bundle.watch_layer import LayerWatch

_WINDOW = 8 << 20
"""Most bytes of history that a layer may make its reader keep; kit's own frames have 4 MiB."""
LEVEL = 3
"""Cut into frames, a layer is less than 1% larger than one stream of the same level."""


class _Compressor:
    """Turns frames into their stored form, on any number of threads."""

    def __init__(self, known: KnownFrames) -> None:
        self._known = known
        self._own = threading.local()

    def __call__(self, plain: bytes) -> tuple[Frame, bytes, bool]:
        """Return the frame, its stored bytes, and whether they were found rather than made."""
        digest = hashlib.sha256(plain).digest()
        found = self._known.find(digest)
        if found is not None:
            return (*found, True)
        stored = self._compress(plain)
        return Frame(len(plain), len(stored), digest, hashlib.sha256(stored).digest()), stored, False

    def _compress(self, plain: bytes) -> bytes:
        import zstandard

        if not hasattr(self._own, "zstd"):
            self._own.zstd = zstandard.ZstdCompressor(level=LEVEL)
        stored: bytes = self._own.zstd.compress(plain)
        return stored


def _frames(plain: Iterable[bytes], known: KnownFrames, frames: list[Frame]) -> Iterator[bytes]:
    """Yield the stored frames and note their records."""
    empty = True
    compressor = _Compressor(known)
    for frame, stored, found in in_order(compressor, plain):
        empty = False
        frames.append(frame)
        if found:
            known.copied += frame.plain_size
        else:
            known.compressed += frame.plain_size
        yield stored
    if empty:
        yield compressor(b"")[1]


def store_layer(
    plain: Iterable[bytes],
    store: PackedBlobs,
    known: KnownFrames,
    *,
    normalise: bool = False,
    watch: LayerWatch | None = None,
) -> Layer:
    """Compress a layer's plain tar into the store, with its index; return both its forms.

    With `normalise`, its headers are normalised first: the diffID is that of the result. `watch`
    hears of every member. Raises what the stream raises, UnfitError or TransferError when the disk
    fails.
    """
    hasher = Hasher()
    frames: list[Frame] = []
    cut = hasher.watch(cut_tar(plain, normalise=normalise, watch=watch))
    blob = store.write(_frames(cut, known, frames))
    known.add(blob, frames)
    index = store.keep(dump_index(frames)) if len(frames) > 1 else None
    return Layer(blob.digest, blob.size, hasher.digest, hasher.size, index)


def plain_frame(frame: Frame, stored: bytes, where: str) -> bytes:
    """Return the plain bytes of a frame, never more than its `plain_size`.

    Raises VerificationError unless the stored bytes are one zstd frame that holds exactly those.
    """
    import zstandard

    try:
        # The size that zstd's own header claims is what would be set aside for it.
        if zstandard.get_frame_parameters(stored).content_size != frame.plain_size:
            raise VerificationError("a frame claims another size than its index", where=where)
        plain: bytes = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise VerificationError("a frame is not zstd", where=where, why=str(error)) from error
    if len(plain) != frame.plain_size or hashlib.sha256(plain).digest() != frame.plain:
        raise VerificationError("a frame holds other bytes than its index says", where=where)
    return plain


def _decompressed(chunks: Iterable[bytes], limit: int, where: str) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    reader = decompressor.stream_reader(byte_stream(chunks), read_across_frames=True)
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
