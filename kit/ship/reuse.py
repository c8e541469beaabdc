"""How much of what a host lacks lies there already, frame by frame, in other blobs. Pure.

Only for the plan: the host itself looks, copies and proves. What it says of older blobs is taken as it is.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kit.bundle.frame_index import read_records
from kit.ship.framed import FramedBlob, framed_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from kit.bundle.manifest import Blob, File, Layer
    from kit.ship.have import Have


class FrameReader:
    """Gives the frames of a bundle's blobs, each read once. Safe on several threads."""

    def __init__(self, read: Callable[[str], Iterable[bytes]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: dict[str, FramedBlob] = {}

    def __call__(self, item: Layer | File | Blob) -> FramedBlob:
        """Return a blob with its frames. Raises VerificationError when its index is not one of it."""
        with self._lock:
            if item.digest not in self._known:
                self._known[item.digest] = framed_blob(item, lambda index: b"".join(self._read(index.digest)))
            return self._known[item.digest]


def _stored_digests(index: bytes, size: int) -> Iterator[bytes]:
    """Yield the sha256 of each frame in an index, if it is one of a blob of `size` bytes."""
    try:
        frames = read_records(index)
    except ValueError:
        return
    if sum(frame.stored_size for frame in frames) == size:
        yield from (frame.stored for frame in frames)


def there_frames(have: Have, own: Iterable[FramedBlob]) -> frozenset[bytes]:
    """Return the sha256 of frames that are there: in older blobs, and in `own` ones of the bundle."""
    found = {frame.stored for blob in own if blob.index is not None for frame in blob.frames}
    for name, index in have.indexes.items():
        found.update(_stored_digests(index, have.blobs.get(name, -1)))
    return frozenset(found)


def reusable_bytes(blob: FramedBlob, there: Collection[bytes]) -> int:
    """Return the bytes of a blob that need not be sent, as its frames are there."""
    return sum(frame.stored_size for frame in blob.frames if frame.stored in there)
