from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.compress_layers import store_layer
from kit.bundle.frame_index import PIECE
from kit.bundle.known_frames import KnownFrames
from kit.bundle.manifest import Blob, Layer
from kit.errors import VerificationError
from tests.unit.bundle.fake_engine import tar_of

NOISE = random.Random(2)
OLD = {f"pkg/{place:04}": NOISE.randbytes(8_000) for place in range(1200)}
NEW = {**OLD, "pkg/0600": b"changed"}


def stored(folder: Path, files: dict[str, bytes], *before: Layer) -> tuple[Layer, KnownFrames]:
    store = BlobStore(folder)
    known = KnownFrames(store)
    known.load(before)
    return store_layer((tar_of(files),), store, known), known


def test_unchanged_frames_are_copied(tmp_path: Path) -> None:
    old, first = stored(tmp_path, OLD)
    new, second = stored(tmp_path, NEW, old)
    assert first.copied == 0
    assert second.copied > 0.6 * new.plain_size
    assert second.copied + second.compressed == new.plain_size
    assert new == stored(tmp_path / "fresh", NEW)[0]


def test_a_copied_layer_of_one_frame_is_found_too(tmp_path: Path) -> None:
    layer, _ = stored(tmp_path, {"a": b"x"})
    assert layer.index is None
    assert stored(tmp_path, {"a": b"x"}, layer)[1].compressed == 0


def test_damaged_frames_are_compressed_again(tmp_path: Path) -> None:
    old, _ = stored(tmp_path, OLD)
    store = BlobStore(tmp_path)
    known = KnownFrames(store)
    known.load((old,))
    path = store.path(old.digest)
    path.chmod(0o644)
    path.write_bytes(bytes(old.size))
    assert store_layer((tar_of(NEW),), store, known) == stored(tmp_path / "fresh", NEW)[0]
    assert known.copied == 0


def test_a_layer_without_its_index_is_left_out(tmp_path: Path) -> None:
    old, _ = stored(tmp_path, OLD)
    assert old.index is not None
    BlobStore(tmp_path).path(old.index.digest).unlink()
    assert stored(tmp_path, NEW, old)[1].copied == 0


def test_frames_are_found_within_one_pack(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    known = KnownFrames(store)
    store_layer((tar_of(OLD),), store, known)
    store_layer((tar_of(NEW),), store, known)
    assert known.copied


class CountingStore(BlobStore):
    """A store that tells how many bytes it was given to write."""

    written = 0

    def write(self, chunks: Iterable[bytes], expected: Blob | None = None) -> Blob:
        blob = super().write(chunks, expected)
        self.written += blob.size
        return blob


@pytest.mark.parametrize("files", [OLD, {"a": b"one frame"}, {}])
def test_a_layer_that_is_here_already_is_not_written_again(tmp_path: Path, files: dict[str, bytes]) -> None:
    store = CountingStore(tmp_path)
    known = KnownFrames(store)
    store_layer((tar_of(NEW),), store, known)
    first = store_layer((tar_of(files),), store, known)
    before = store.written
    assert store_layer((tar_of(files),), store, known) == first
    assert store.written == before


def test_a_layer_that_begins_or_ends_as_another_is_its_own(tmp_path: Path) -> None:
    longer = {**OLD, **{f"tail/{place}": NOISE.randbytes(9_000) for place in range(400)}}
    for number, order in enumerate(((OLD, longer, NEW), (longer, NEW, OLD), (NEW, OLD, longer))):
        store = BlobStore(tmp_path / str(number))
        known = KnownFrames(store)
        for files in order:
            layer = store_layer((tar_of(files),), store, known)
            assert layer == stored(tmp_path / "alone", files)[0]
            assert store.has(Blob(layer.digest, layer.size))


def test_the_beginning_of_another_layer_is_a_layer(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    known = KnownFrames(store)
    noise = NOISE.randbytes(3 * PIECE)
    store_layer((noise,), store, known)
    layer = store_layer((noise[:PIECE],), store, known)
    assert layer.plain_size == PIECE
    assert store.has(Blob(layer.digest, layer.size))
    assert store_layer((noise[:PIECE],), store, known) == layer


def test_a_frame_that_is_damaged_while_it_is_needed_again_is_noticed(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    known = KnownFrames(store)
    noise = NOISE.randbytes(20 * PIECE)
    path = store.path(store_layer((noise,), store, known).digest)

    def chunks() -> Iterator[bytes]:
        yield noise[: 19 * PIECE]
        path.chmod(0o644)
        path.write_bytes(bytes(20 * PIECE))
        yield b"another end"

    with pytest.raises(VerificationError, match="is gone"):
        store_layer(chunks(), store, known)
