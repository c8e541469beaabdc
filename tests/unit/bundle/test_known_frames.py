from __future__ import annotations

import random
from pathlib import Path

from kit.bundle.blob_store import BlobStore
from kit.bundle.compress_layers import store_layer
from kit.bundle.known_frames import KnownFrames
from kit.bundle.manifest import Layer
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
