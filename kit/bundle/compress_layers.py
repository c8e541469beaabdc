"""Layers between their two forms: the engine's plain tar and the bundle's frames of zstd.

One pass and constant memory: the tar is cut as it streams by; threads hash and compress the frames,
or find them compressed already; they are written in order while the whole is hashed.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from kit.bundle.cut_frames import cut_tar
from kit.bundle.digest import CHUNK, Hasher, verified, wrong_bytes
from kit.bundle.frame_index import Frame, dump_index
from kit.bundle.manifest import Blob, Layer
from kit.bundle.ordered_work import in_order
from kit.byte_stream import byte_stream
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.known_frames import KnownFrames
    from kit.bundle.target import PackedBlobs
    from kit.bundle.watch_layer import LayerWatch

_WINDOW = 8 << 20
"""Most bytes of history that a layer may make its reader keep; kit's own frames have 4 MiB."""
_AHEAD = 16
"""Frames held, besides those at work: cutting and compressing run dry in turn with fewer."""
LEVEL = 3
"""Cut into frames, a layer is less than 1% larger than one stream of the same level."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A frame in its stored form."""

    frame: Frame
    data: bytes
    found: bool
    """It was here already."""


class _Compressor:
    """Turns frames into their stored form, on any number of threads."""

    def __init__(self, known: KnownFrames) -> None:
        self._known = known
        self._own = threading.local()

    def __call__(self, plain: bytes) -> _Stored:
        """Return a frame, found or made."""
        digest = hashlib.sha256(plain).digest()
        found = self._known.find(digest)
        if found is not None:
            return _Stored(*found, found=True)
        data = self._compress(plain)
        frame = Frame(len(plain), len(data), digest, hashlib.sha256(data).digest())
        return _Stored(frame, data, found=False)

    def _compress(self, plain: bytes) -> bytes:
        import zstandard

        if not hasattr(self._own, "zstd"):
            self._own.zstd = zstandard.ZstdCompressor(level=LEVEL)
        stored: bytes = self._own.zstd.compress(plain)
        return stored


def _never_empty(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frames; an empty one where there is none, since no bytes are no zstd."""
    frame = None
    for frame in frames:
        yield frame
    if frame is None:
        yield b""


def _counted(stored: Iterable[_Stored], known: KnownFrames) -> Iterator[_Stored]:
    for item in stored:
        if item.found:
            known.copied += item.frame.plain_size
        else:
            known.compressed += item.frame.plain_size
        yield item


def _again(frames: Iterable[Frame], known: KnownFrames) -> Iterator[_Stored]:
    """Yield frames that were found a moment ago."""
    for frame in frames:
        found = known.find(frame.plain)
        if found is None:
            raise VerificationError(
                "a frame that was there is gone",
                where="the bundle that is packed",
                fix="leave it alone while kit bundle writes; then run kit bundle again",
            )
        yield _Stored(*found, found=True)


def _noted(stored: Iterable[_Stored], frames: list[Frame]) -> Iterator[bytes]:
    for item in stored:
        frames.append(item.frame)
        yield item.data


def _write(
    stored: Iterator[_Stored], store: PackedBlobs, known: KnownFrames
) -> tuple[Blob, tuple[Frame, ...]]:
    """Return the blob of these frames. As long as they are those of a layer that is here, none is written."""
    twin = known.twin()
    other: tuple[_Stored, ...] = ()
    for item in stored:
        if not (item.found and twin.goes_on(item.frame.plain)):
            other = (item,)
            break
    if not other and twin.whole is not None:
        return twin.whole
    frames: list[Frame] = []
    blob = store.write(_noted(chain(_again(twin.begun, known), other, stored), frames))
    known.add(blob, tuple(frames))
    return blob, tuple(frames)


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
    cut = hasher.watch(_never_empty(cut_tar(plain, normalise=normalise, watch=watch)))
    stored = in_order(_Compressor(known), cut, ahead=_AHEAD)
    blob, frames = _write(_counted(stored, known), store, known)
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


def unhashed_layer(chunks: Iterable[bytes], layer: Layer, where: str) -> Iterator[bytes]:
    """Yield the plain tar of a stored layer, for somebody who compares its diffID: an engine does.

    Raises VerificationError unless it has exactly the layer's `plain_size`, before a byte too many is
    yielded; whatever `chunks` raises passes through.
    """
    left = layer.plain_size
    for piece in _decompressed(chunks, layer.plain_size + CHUNK, where):
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise wrong_bytes(Blob(layer.diff_id, layer.plain_size), where, "it unpacks to another size")
