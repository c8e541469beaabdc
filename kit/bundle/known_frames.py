"""Frames that an earlier pack, or another layer of this one, compressed already."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.bundle.digest import verified
from kit.bundle.frame_index import Frame, parse_index, single_frame
from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.bundle.manifest import Blob, Layer
    from kit.bundle.target import PackedBlobs


class KnownFrames:
    """Finds a frame's stored bytes by the sha256 of its plain bytes, in the layers that are here."""

    def __init__(self, store: PackedBlobs) -> None:
        self._store = store
        self._loaded = False
        self._places: dict[bytes, tuple[Blob, int, Frame]] = {}
        self._layers: dict[Blob, tuple[Frame, ...]] = {}
        self.copied = 0
        """Plain bytes that were found and not compressed again."""
        self.compressed = 0
        """Plain bytes that had to be compressed."""

    def add(self, blob: Blob, frames: tuple[Frame, ...]) -> None:
        """Remember the frames of a layer that is here."""
        self._layers[blob] = frames
        offset = 0
        for frame in frames:
            self._places.setdefault(frame.plain, (blob, offset, frame))
            offset += frame.stored_size

    def load(self, layers: Iterable[Layer]) -> None:
        """Remember the frames of layers packed before, once; those whose blobs are not here are left out."""
        if self._loaded:
            return
        self._loaded = True
        for layer in layers:
            with suppress(KitError):
                if self._store.has(layer.blob):
                    self.add(layer.blob, read_frames(layer, self._store))

    def find(self, plain: bytes) -> tuple[Frame, bytes] | None:
        """Return the frame with that sha256 and its stored bytes, hashed again; None when there is none."""
        blob, offset, frame = self._places.get(plain, (None, 0, None))
        if blob is None or frame is None:
            return None
        try:
            stored = b"".join(self._store.read(blob, offset, frame.stored_size))
        except KitError:
            return None
        return (frame, stored) if hashlib.sha256(stored).digest() == frame.stored else None

    def twin(self) -> Twin:
        """Return what follows the layers that are here."""
        return Twin(self._layers.items())


class Twin:
    """The layers that are here and that begin as the one which is packed does; one may be the same."""

    def __init__(self, layers: Iterable[tuple[Blob, tuple[Frame, ...]]]) -> None:
        self._alike = tuple(layers)
        self._count = 0

    def goes_on(self, plain: bytes) -> bool:
        """Tell whether one of them goes on with a frame of that sha256; only such are left then."""
        place = self._count
        alike = tuple(
            (blob, frames)
            for blob, frames in self._alike
            if place < len(frames) and frames[place].plain == plain
        )
        if alike:
            self._alike, self._count = alike, place + 1
        return bool(alike)

    @property
    def begun(self) -> tuple[Frame, ...]:
        """The frames that have gone by."""
        return self._alike[0][1][: self._count] if self._count else ()

    @property
    def whole(self) -> tuple[Blob, tuple[Frame, ...]] | None:
        """The layer that ends here."""
        return next((found for found in self._alike if len(found[1]) == self._count), None)


def read_frames(layer: Layer, store: PackedBlobs) -> tuple[Frame, ...]:
    """Return the frames of a layer that is in the store.

    Raises VerificationError when its index is not what kit.json says, TransferError when it cannot
    be read.
    """
    if layer.index is None:
        return (single_frame(layer),)
    data = b"".join(verified(store.read(layer.index), layer.index, "the bundle's folder"))
    return parse_index(data, layer.blob, layer.plain_size)
