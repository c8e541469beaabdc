"""Holding one blob against its index, in one read: as a whole on this thread, its frames on another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_frame, plain_layer
from kit.bundle.digest import Hasher, wrong_bytes
from kit.bundle.frame_index import Frame, parse_index, parse_piece_index
from kit.bundle.layer_law import check_layer_tar
from kit.bundle.manifest import Blob, Layer
from kit.bundle.ordered_work import in_order
from kit.byte_stream import ChunkReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.manifest import File
    from kit.bundle.source import BundleSource

_SHOWN = 3


def frames_of(source: BundleSource, item: Layer | File) -> tuple[Frame, ...]:
    """Return the frames in the index of a layer or file; none for one that has no index.

    Raises VerificationError when the index is damaged or is not that of the blob.
    """
    if item.index is None:
        return ()
    data = b"".join(source.read(item.index.digest))
    if isinstance(item, Layer):
        return parse_index(data, item.blob, item.plain_size)
    return parse_piece_index(data, item.blob)


def _read(source: BundleSource, blob: Blob, frames: Iterable[Frame]) -> Iterator[tuple[int, Frame, bytes]]:
    reader = ChunkReader(source.read_range(blob.digest, 0))
    for number, frame in enumerate(frames):
        yield number, frame, reader.read(frame.stored_size)


def _wrong_frame(item: tuple[int, Frame, bytes]) -> int | None:
    number, frame, stored = item
    return None if hashlib.sha256(stored).digest() == frame.stored else number


def check_frames(
    source: BundleSource, blob: Blob, frames: tuple[Frame, ...], advance: Callable[[int], None]
) -> int:
    """Return the number of frames, once each has its sha256 and the whole blob has its own.

    `advance` hears of the bytes read. Raises VerificationError, TransferError when reading fails.
    """
    hasher = Hasher()

    def taken() -> Iterator[tuple[int, Frame, bytes]]:
        for item in _read(source, blob, frames):
            hasher.update(item[2])
            advance(len(item[2]))
            yield item

    wrong = [number for number in in_order(_wrong_frame, taken(), threads=1) if number is not None]
    if wrong:
        shown = ", ".join(map(str, wrong[:_SHOWN])) + (", …" if len(wrong) > _SHOWN else "")
        raise wrong_bytes(blob, source.where, f"{len(wrong)} of its {len(frames)} frames: {shown}")
    if hasher.blob != blob:
        raise wrong_bytes(blob, source.where, f"every frame fits, but its bytes have {hasher.digest}")
    return len(frames)


def _heard(chunks: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        advance(len(chunk))
        yield chunk


def check_layer_deep(source: BundleSource, layer: Layer, advance: Callable[[int], None]) -> int:
    """Return the number of frames, once each decompresses to its plain bytes and all to the diffID.

    They must be a tar such as `layer_law` allows. `advance` hears of them. Raises VerificationError,
    TransferError when reading fails.
    """
    if layer.index is None:
        plain = plain_layer(source.read(layer.digest), layer, source.where)
        check_layer_tar(_heard(plain, advance), source.where)
        return 1
    frames = frames_of(source, layer)
    where = f"{source.where}: {layer.digest}"
    hasher = Hasher()
    stored = _read(source, layer.blob, frames)
    plain = in_order(lambda item: plain_frame(item[1], item[2], where), stored, threads=1)
    check_layer_tar(_heard(hasher.watch(plain), advance), where)
    plain_blob = Blob(layer.diff_id, layer.plain_size)
    if hasher.blob != plain_blob:
        raise wrong_bytes(plain_blob, where, f"every frame fits, but its plain bytes have {hasher.digest}")
    return len(frames)
