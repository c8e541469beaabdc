from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of
from kit.bundle.known_files import KnownFiles
from kit.bundle.manifest import Blob

if TYPE_CHECKING:
    from pathlib import Path

OLD = 1_700_000_000_000_000_000


def aged_file(path: Path, data: bytes, when: int = OLD) -> Path:
    path.write_bytes(data)
    os.utime(path, ns=(when, when))
    return path


def test_a_recorded_file_is_not_read_again(tmp_path: Path) -> None:
    path = aged_file(tmp_path / "file", b"abc")
    known = KnownFiles.load(tmp_path / "record")
    known.remember(path, "sha256:" + "0" * 64)
    assert KnownFiles.load(tmp_path / "record").blob_of(path) == Blob("sha256:" + "0" * 64, 3)


def test_a_file_written_since_is_hashed_again(tmp_path: Path) -> None:
    path = aged_file(tmp_path / "file", b"abc")
    known = KnownFiles.load(tmp_path / "record")
    assert known.blob_of(path) == blob_of(b"abc")
    aged_file(path, b"abd", OLD + 1)
    assert known.blob_of(path) == blob_of(b"abd")


def test_a_file_exchanged_under_its_name_is_hashed_again(tmp_path: Path) -> None:
    path = aged_file(tmp_path / "file", b"abc")
    known = KnownFiles.load(tmp_path / "record")
    known.blob_of(path)
    aged_file(tmp_path / "other", b"xyz").replace(path)
    assert known.blob_of(path) == blob_of(b"xyz")


def test_a_file_changed_just_now_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    KnownFiles.load(tmp_path / "record").blob_of(path)
    assert not (tmp_path / "record").exists()


def test_torn_lines_are_ignored(tmp_path: Path) -> None:
    path = aged_file(tmp_path / "file", b"abc")
    KnownFiles.load(tmp_path / "record").blob_of(path)
    whole = (tmp_path / "record").read_bytes()
    (tmp_path / "record").write_bytes(b'not json\n{"a": 1}\n' + whole + whole[:20])
    assert KnownFiles.load(tmp_path / "record").blob_of(path) == blob_of(b"abc")


def test_compacting_forgets_files_that_are_gone(tmp_path: Path) -> None:
    known = KnownFiles.load(tmp_path / "record")
    for name in ("a", "b"):
        known.blob_of(aged_file(tmp_path / name, b"abc"))
    (tmp_path / "a").unlink()
    known.compact()
    lines = (tmp_path / "record").read_text().splitlines()
    assert len(lines) == 1
    assert str(tmp_path / "b") in lines[0]


def test_a_record_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file where the record's folder would be")
    path = aged_file(tmp_path / "file", b"abc")
    assert KnownFiles.load(tmp_path / "folder" / "record").blob_of(path) == blob_of(b"abc")
