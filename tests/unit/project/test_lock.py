from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.project.load import parse_project
from kit.project.lock import (
    ImageLock,
    Lock,
    PinnedFile,
    TreePin,
    differences,
    dump_lock,
    load_lock,
    parse_lock,
    project_digest,
    require_complete,
    write_lock,
)
from tests.factories import project_document

SHA = "sha256:" + "0" * 64
PROJECT = parse_project(project_document())
LOCK = Lock(
    kit_version="0.1.0",
    stack="cpu",
    project_digest=project_digest(PROJECT),
    locked="2026-05-01T12:30:00Z",
    images=(ImageLock("train", "debootstrap:bookworm", None, SHA, SHA),),
    trees=(TreePin("model", "tiny", "folder:model", "", (PinnedFile("config.json", 7, SHA),)),),
)


def test_what_is_dumped_is_parsed_again() -> None:
    assert parse_lock(dump_lock(LOCK)) == LOCK


def test_a_complete_lock_of_the_same_project_is_accepted() -> None:
    require_complete(LOCK, PROJECT)


def test_a_pending_input_is_named_and_refused() -> None:
    pending = replace(LOCK, images=(replace(LOCK.images[0], pending=("torch==2.6.0+cu126",)),))
    assert pending.pending == ("train: torch==2.6.0+cu126",)
    with pytest.raises(ConfigError, match=r"torch==2\.6\.0\+cu126"):
        require_complete(pending, PROJECT)


def test_a_lock_of_another_project_is_refused() -> None:
    other = parse_project(project_document(models={"tiny": {"source": "folder", "path": "elsewhere"}}))
    with pytest.raises(ConfigError, match="since it was locked"):
        require_complete(LOCK, other)


def test_hosts_and_jobs_may_change_without_a_new_lock() -> None:
    document = project_document()
    document["hosts"]["gpu1"]["address"] = "10.9.9.9"
    assert project_digest(parse_project(document)) == LOCK.project_digest


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"kit_lock": 2, "images": 3}', b'{"kit_lock": 1}'])
def test_bytes_that_are_no_lock_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="kit lock"):
        parse_lock(data)


def test_writing_replaces_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "kit.lock"
    path.write_text("old")
    write_lock(path, LOCK)
    assert load_lock(path) == LOCK
    assert list(tmp_path.iterdir()) == [path]


def test_differences_name_what_changed() -> None:
    newer = replace(LOCK, images=(replace(LOCK.images[0], inputs_digest=SHA.replace("0", "1")),), trees=())
    assert differences(LOCK, newer) == ("model tiny: gone", "image train: changed")
    assert differences(LOCK, LOCK) == ()
