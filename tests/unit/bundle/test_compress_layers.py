from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import zstandard

from kit.bundle.blob_store import BlobStore
from kit.bundle.compress_layers import plain_layer, store_layer
from kit.bundle.digest import Hasher, blob_of, read_file
from kit.bundle.known_frames import KnownFrames
from kit.bundle.manifest import Layer
from kit.errors import VerificationError

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = bytes(range(256)) * 20_000


def layer_of(compressed: bytes, plain: bytes) -> Layer:
    stored, whole = blob_of(compressed), blob_of(plain)
    return Layer(stored.digest, stored.size, whole.digest, whole.size)


def test_a_stored_layer_gives_its_plain_form_back(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    layer = store_layer((PLAIN[:1000], PLAIN[1000:]), store, KnownFrames(store))
    assert (layer.diff_id, layer.plain_size) == (blob_of(PLAIN).digest, len(PLAIN))
    assert layer.size < len(PLAIN) // 10
    assert b"".join(plain_layer(read_file(store.path(layer.digest)), layer, "x")) == PLAIN


def test_how_the_stream_is_cut_does_not_change_the_layer(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    pieces = tuple(PLAIN[start : start + 7777] for start in range(0, len(PLAIN), 7777))
    once = store_layer((PLAIN,), store, KnownFrames(store))
    assert once == store_layer(pieces, store, KnownFrames(store))


def test_other_tools_read_a_stored_layer(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    layer = store_layer((PLAIN,), store, KnownFrames(store))
    data = store.path(layer.digest).read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data) == PLAIN


def test_an_empty_layer_goes_there_and_back(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    layer = store_layer((), store, KnownFrames(store))
    assert b"".join(plain_layer(read_file(store.path(layer.digest)), layer, "x")) == b""


def test_layers_of_several_frames_are_read() -> None:
    data = zstandard.compress(b"one") + zstandard.compress(b"two")
    assert b"".join(plain_layer((data,), layer_of(data, b"onetwo"), "x")) == b"onetwo"


def test_a_layer_that_grows_beyond_its_size_is_refused() -> None:
    bomb = zstandard.compress(b"\0" * 50_000_000)
    seen = Hasher()
    with pytest.raises(VerificationError):
        list(seen.watch(plain_layer((bomb,), layer_of(bomb, b"small"), "x")))
    assert seen.size <= 2 << 20


@pytest.mark.parametrize("data", [b"not zstd at all", zstandard.compress(b"other"), zstandard.compress(b"o")])
def test_a_layer_with_another_diff_id_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        b"".join(plain_layer((data,), layer_of(data, b"right"), "x"))


def test_a_layer_that_is_cut_off_is_refused() -> None:
    data = zstandard.compress(PLAIN)
    with pytest.raises(VerificationError):
        b"".join(plain_layer((data[:-5],), layer_of(data, PLAIN), "x"))
