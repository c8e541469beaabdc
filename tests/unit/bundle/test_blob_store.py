from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from kit.bundle.blob_store import BlobStore, writing
from kit.bundle.digest import blob_of
from kit.errors import TransferError, UnfitError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def names(store: BlobStore) -> list[str]:
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())


def test_a_written_blob_is_there_whole_and_read_only(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = store.write((b"ab", b"c"))
    assert blob == blob_of(b"abc")
    assert store.has(blob)
    assert store.path(blob.digest).read_bytes() == b"abc"
    assert store.path(blob.digest).stat().st_mode & 0o777 == 0o444


def test_a_blob_that_is_not_there_is_not_had(tmp_path: Path) -> None:
    assert not BlobStore(tmp_path).has(blob_of(b"abc"))


@pytest.mark.parametrize("data", [b"abd", b"ab", b"abcd"])
def test_unexpected_bytes_leave_nothing_behind(tmp_path: Path, data: bytes) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(VerificationError):
        store.write((data,), blob_of(b"abc"))
    assert names(store) == []


def test_a_broken_stream_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"ab"
        raise TransferError("gone")

    store = BlobStore(tmp_path)
    with pytest.raises(TransferError, match="gone"):
        store.write(broken())
    assert names(store) == []


def test_a_damaged_blob_of_the_right_size_is_not_had(tmp_path: Path) -> None:
    blob = BlobStore(tmp_path).write((b"abc",))
    path = BlobStore(tmp_path).path(blob.digest)
    path.unlink()
    path.write_bytes(b"abd")
    assert not BlobStore(tmp_path).has(blob)


def test_a_symlink_is_not_had(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = store.write((b"abc",))
    (tmp_path / "elsewhere").write_bytes(b"abc")
    store.path(blob.digest).unlink()
    store.path(blob.digest).symlink_to(tmp_path / "elsewhere")
    assert not store.has(blob)


def test_a_proven_partial_file_moves_into_place(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.partial.mkdir()
    (store.partial / "x").write_bytes(b"abc")
    store.adopt(store.partial / "x", blob_of(b"abc"))
    assert store.has(blob_of(b"abc"))
    assert not (store.partial / "x").exists()


def test_other_blobs_and_leftovers_are_removed_on_request(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    kept, other = store.write((b"abc",)), store.write((b"other",))
    (store.partial / "new-1234").write_bytes(b"left by a killed writer")
    store.remove_unfinished()
    assert store.remove_others((kept,)) == 5
    assert not store.has(other)
    assert store.has(kept)
    assert names(store) == sorted([store.path(kept.digest).name, "verified.jsonl"])


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, UnfitError), (errno.EDQUOT, UnfitError), (errno.EIO, TransferError)],
)
def test_a_failing_disk_is_reported_by_kind(tmp_path: Path, number: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=str(tmp_path)), writing(tmp_path):
        raise OSError(number, "disk")


def test_a_store_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransferError, match="file"):
        BlobStore(tmp_path / "file").write((b"abc",))
