from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kit.bundle import write_behind
from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of
from kit.bundle.write_behind import STEP, WriteBehind


def test_the_kernel_is_told_of_each_stretch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, ...]] = []
    monkeypatch.setattr(write_behind, "_sync_file_range", lambda: lambda *words: told.append(words))
    behind = WriteBehind(7)
    for stop in (1, STEP - 1, STEP + 5, STEP + 6, 3 * STEP):
        behind.wrote(stop)
    assert told == [(7, 0, STEP + 5, 2), (7, STEP + 5, 2 * STEP - 5, 2)]


def test_where_there_is_no_such_call_a_file_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_behind, "_sync_file_range", lambda: None)
    data = b"x" * (STEP + 1)
    assert BlobStore(tmp_path).write([data]) == blob_of(data)


def test_the_call_of_this_system_takes_a_file(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        os.write(descriptor, b"x" * 4096)
        call = write_behind._sync_file_range()
        assert (call is None) == (sys.platform != "linux")
        assert call is None or call(descriptor, 0, 4096, 2) == 0
        assert os.pread(descriptor, 4, 0) == b"xxxx"
    finally:
        os.close(descriptor)
