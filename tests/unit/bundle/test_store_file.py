from __future__ import annotations

import random
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of
from kit.bundle.frame_index import PIECE, parse_piece_index, piece_of
from kit.bundle.store_file import cut_pieces, index_stored, store_file
from kit.errors import VerificationError

DATA = random.Random(3).randbytes(2 * PIECE + 12_345)


@pytest.mark.parametrize("step", [1 << 20, 1_000_003, 3 * PIECE])
def test_pieces_do_not_depend_on_how_the_bytes_arrive(step: int) -> None:
    chunks = (DATA[start : start + step] for start in range(0, len(DATA), step))
    assert list(cut_pieces(chunks)) == [DATA[:PIECE], DATA[PIECE : 2 * PIECE], DATA[2 * PIECE :]]


def test_a_large_file_gets_an_index_over_its_pieces(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = blob_of(DATA)
    index = store_file((DATA,), blob, store)
    assert index is not None
    frames = parse_piece_index(store.path(index.digest).read_bytes(), blob)
    assert frames == tuple(piece_of(piece) for piece in cut_pieces((DATA,)))
    assert index_stored(blob, store) == index


@pytest.mark.parametrize("size", [0, 5, PIECE])
def test_a_file_of_one_piece_needs_none(tmp_path: Path, size: int) -> None:
    store = BlobStore(tmp_path)
    blob = blob_of(DATA[:size])
    assert store_file((DATA[:size],), blob, store) is None
    assert index_stored(blob, store) is None
    assert store.has(blob)


def test_another_file_than_expected_leaves_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(VerificationError):
        store_file((DATA[:-1], b"x"), blob_of(DATA), store)
    assert not list(tmp_path.rglob("*/sha256/*"))
