from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.source import open_bundle
from kit.bundle.switch import choose, current_file, settle, stage
from kit.progress import NoProgress
from tests.unit.bundle.factories import local_tree, pack_request, packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

OLD = {"index.json": b"old index", "kit.json": b"old", "kit.lock": b"old lock"}
NEW = {"index.json": b"new index", "kit.json": b"new", "kit.lock": b"new lock"}


def current(folder: Path) -> dict[str, bytes]:
    return {name: current_file(folder, name).read_bytes() for name in OLD}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_staged_files_are_not_seen(folder: Path) -> None:
    stage(folder, NEW)
    assert current(folder) == OLD


def test_chosen_files_are_seen_at_once(folder: Path) -> None:
    stage(folder, NEW)
    choose(folder)
    assert current(folder) == NEW


def test_settled_files_stand_under_their_names(folder: Path) -> None:
    stage(folder, NEW)
    choose(folder)
    settle(folder)
    assert {name: (folder / name).read_bytes() for name in NEW} == NEW
    assert not any((folder / "partial").iterdir())


def test_settling_half_done_is_finished_later(folder: Path) -> None:
    stage(folder, NEW)
    choose(folder)
    (folder / "index.json").write_bytes(NEW["index.json"])
    assert current(folder) == NEW
    settle(folder)
    assert {name: (folder / name).read_bytes() for name in NEW} == NEW


def test_settling_without_chosen_files_changes_nothing(folder: Path) -> None:
    stage(folder, NEW)
    settle(folder)
    assert current(folder) == OLD


def test_an_old_signature_ends_with_the_old_kit_json(folder: Path) -> None:
    (folder / "kit.json.sig").write_bytes(b"old signature")
    stage(folder, NEW)
    assert current_file(folder, "kit.json.sig").read_bytes() == b"old signature"
    choose(folder)
    assert not current_file(folder, "kit.json.sig").exists()
    settle(folder)
    assert not (folder / "kit.json.sig").exists()


def test_a_signature_that_was_staged_is_settled(folder: Path) -> None:
    (folder / "kit.json.sig").write_bytes(b"old signature")
    stage(folder, {**NEW, "kit.json.sig": b"new signature"})
    choose(folder)
    assert current_file(folder, "kit.json.sig").read_bytes() == b"new signature"
    settle(folder)
    assert (folder / "kit.json.sig").read_bytes() == b"new signature"


def test_a_bundle_killed_between_choosing_and_settling_is_the_new_one(tmp_path: Path) -> None:
    old = packed_bundle(tmp_path)
    bundle = tmp_path / "bundle"
    before = {path.name: path.read_bytes() for path in bundle.iterdir() if path.is_file()}
    engine = FakeEngine()
    request = pack_request(engine, tmp_path, trees=(local_tree(tmp_path / "m2", {"a.json": b"1"}),))
    new = pack_bundle(request, engine, FolderTarget(bundle), NoProgress())
    chosen = bundle / "partial" / "chosen"
    chosen.mkdir()
    for name, content in before.items():
        shutil.move(bundle / name, chosen / name)
        (bundle / name).write_bytes(content)
    assert open_bundle(bundle).manifest == new != old.manifest
