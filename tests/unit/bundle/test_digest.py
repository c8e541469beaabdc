from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import Hasher, blob_of, hash_chunks, read_file, sha256_of_file, verified
from kit.bundle.manifest import Blob
from kit.errors import TransferError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_an_empty_stream_has_the_known_digest() -> None:
    assert hash_chunks(()) == Blob(EMPTY, 0)


def test_a_watched_stream_passes_unchanged() -> None:
    hasher = Hasher()
    assert b"".join(hasher.watch((b"ab", b"c"))) == b"abc"
    assert hasher.blob == blob_of(b"abc")


def test_right_bytes_pass() -> None:
    assert b"".join(verified((b"ab", b"c"), blob_of(b"abc"), "here")) == b"abc"


@pytest.mark.parametrize("data", [b"abd", b"ab", b"abcd", b""])
def test_other_bytes_are_refused_and_the_place_is_named(data: bytes) -> None:
    with pytest.raises(VerificationError, match="here"):
        b"".join(verified((data,), blob_of(b"abc"), "here"))


def test_an_endless_stream_ends_at_the_size() -> None:
    seen = 0

    def endless() -> Iterator[bytes]:
        nonlocal seen
        while True:
            seen += 10
            yield b"x" * 10

    with pytest.raises(VerificationError):
        list(verified(endless(), blob_of(b"x" * 25), "here"))
    assert seen == 30


def test_a_range_of_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert b"".join(read_file(path, 3, 4)) == b"3456"
    assert b"".join(read_file(path, 8, 40)) == b"89"
    assert b"".join(read_file(path, 5)) == b"56789"
    assert sha256_of_file(path) == blob_of(b"0123456789")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="missing"):
        list(read_file(tmp_path / "missing"))


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "folder", "pipe"):
        with pytest.raises(VerificationError, match=f"{name}: no plain file"):
            list(read_file(tmp_path / name))
