"""Blobs as rows of frames, and sets of frames as ranges of their numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from kit.bundle.frame_index import Frame, parse_index, parse_piece_index, single_frame
from kit.bundle.manifest import File, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.manifest import Blob, FileTree, Image

FrameRanges = tuple[tuple[int, int], ...]
"""Half-open ranges of frame numbers, ascending, apart from each other."""


@dataclass(frozen=True, slots=True)
class FramedBlob:
    """A blob, and where in it each of its frames lies."""

    blob: Blob
    frames: tuple[Frame, ...]
    offsets: tuple[int, ...]
    """Of each frame, and last the blob's size."""
    index: Blob | None = None
    """The blob that its frames were read from."""

    def extent(self, start: int, stop: int) -> tuple[int, int]:
        """Return offset and length of the frames `start` up to, not including, `stop`."""
        return self.offsets[start], self.offsets[stop] - self.offsets[start]

    def __len__(self) -> int:
        return len(self.frames)


def framed(blob: Blob, frames: tuple[Frame, ...], index: Blob | None = None) -> FramedBlob:
    """Return a blob with its frames, which must make up its size."""
    return FramedBlob(blob, frames, tuple(accumulate((f.stored_size for f in frames), initial=0)), index)


def one_frame(blob: Blob) -> FramedBlob:
    """Return a blob without an index: a single frame, or none when it is empty."""
    digest = bytes.fromhex(blob.digest.removeprefix("sha256:"))
    return framed(blob, (Frame(blob.size, blob.size, digest, digest),) if blob.size else ())


def framed_item(item: Layer | File, read: Callable[[Blob], bytes]) -> FramedBlob:
    """Return a layer or file with its frames; `read` gives the bytes of its index.

    Raises VerificationError when the index is not one of that blob.
    """
    if item.index is None:
        if isinstance(item, Layer) and item.size:
            return framed(item.blob, (single_frame(item),))
        return one_frame(item.blob)
    data = read(item.index)
    if isinstance(item, Layer):
        return framed(item.blob, parse_index(data, item.blob, item.plain_size), item.index)
    return framed(item.blob, parse_piece_index(data, item.blob), item.index)


def needed_items(images: Iterable[Image], trees: Iterable[FileTree]) -> dict[str, Layer | File | Blob]:
    """Return all that images and trees are made of on a host, by digest, in the order of first use."""
    found: dict[str, Layer | File | Blob] = {}
    for image in images:
        found.setdefault(image.config.digest, image.config)
        found.setdefault(image.manifest.digest, image.manifest)
        for layer in image.layers:
            found.setdefault(layer.digest, layer)
    for tree in trees:
        for file in tree.files:
            found.setdefault(file.digest, file)
    return found


def framed_blob(item: Layer | File | Blob, read: Callable[[Blob], bytes]) -> FramedBlob:
    """Return anything out of `needed_items` with its frames. Raises VerificationError."""
    return framed_item(item, read) if isinstance(item, Layer | File) else one_frame(item)


def blob_of_item(item: Layer | File | Blob) -> Blob:
    """Return the blob that an item is stored as."""
    return item.blob if isinstance(item, Layer | File) else item


def index_of_item(item: Layer | File | Blob) -> Blob | None:
    """Return the blob that an item's frames are listed in; None when it is a single frame."""
    return item.index if isinstance(item, Layer | File) else None


def ranges_of(numbers: Iterable[int]) -> FrameRanges:
    """Return ascending numbers as ranges."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)


def numbers_of(ranges: FrameRanges) -> Iterator[int]:
    """Yield the numbers in ranges, ascending."""
    for start, stop in ranges:
        yield from range(start, stop)


def bytes_of(blob: FramedBlob, ranges: FrameRanges) -> int:
    """Return the stored bytes of some of a blob's frames."""
    return sum(blob.extent(start, stop)[1] for start, stop in ranges)
