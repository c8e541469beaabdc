from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.images.known_locks import remembered_locks
from kit.progress import NoProgress
from kit.project.load import LoadedProject, load_project, parse_project
from kit.project.lock import Lock, TreePin, load_lock, project_digest
from kit.workflow.start_project import project_name, start_project
from kit.workflow.write_project_lock import Locked, lock_project
from tests.factories import project_document


def run_lock(folder: Path, lock: Lock, *, dry_run: bool = False) -> Locked:
    project = LoadedProject(parse_project(project_document()), folder)

    def make(*_: object, **__: object) -> Lock:
        return replace(lock, project_digest=project_digest(project.project))

    return lock_project(project, make, NoProgress(), offline=True, dry_run=dry_run)


EMPTY = Lock("0.1.0", "cpu", "", "2026-05-01T12:30:00Z", (), ())
PENDING = replace(EMPTY, trees=(TreePin("model", "tiny", "modelscope:a/b", "v1", (), ("no hub",)),))


@pytest.mark.parametrize("stack", ["cpu", "cu126"])
def test_a_new_project_is_one_that_kit_reads(tmp_path: Path, stack: str) -> None:
    start_project(tmp_path / "new", stack)
    assert load_project(tmp_path / "new" / "kit.yaml").project.stack == stack


@pytest.mark.parametrize(
    ("folder", "name"), [("My Project", "my-project"), ("模型", "project"), ("a" * 80, "a" * 63)]
)
def test_the_project_is_named_after_its_folder(folder: str, name: str) -> None:
    assert project_name(folder) == name


def test_nothing_is_written_when_one_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.json").write_text("mine")
    with pytest.raises(ConfigError, match="already there"):
        start_project(tmp_path, "cpu")
    assert not (tmp_path / "kit.yaml").exists()


def test_a_first_lock_is_written(tmp_path: Path) -> None:
    found = run_lock(tmp_path, EMPTY)
    assert (found.first, found.changes) == (True, ())
    assert load_lock(tmp_path / "kit.lock").stack == "cpu"
    assert remembered_locks() == (tmp_path / "kit.lock",)


def test_a_later_lock_tells_what_changed(tmp_path: Path) -> None:
    run_lock(tmp_path, EMPTY)
    found = run_lock(tmp_path, PENDING)
    assert found.changes == ("model tiny: new",)
    assert found.pending == ("tiny: no hub",)


def test_the_time_of_a_lock_is_that_of_its_last_change(tmp_path: Path) -> None:
    later = "2027-01-01T00:00:00Z"
    run_lock(tmp_path, EMPTY)
    before = (tmp_path / "kit.lock").read_bytes()
    run_lock(tmp_path, replace(EMPTY, locked=later))
    assert (tmp_path / "kit.lock").read_bytes() == before
    run_lock(tmp_path, replace(PENDING, locked=later))
    assert load_lock(tmp_path / "kit.lock").locked == later


def test_a_dry_run_writes_no_lock(tmp_path: Path) -> None:
    run_lock(tmp_path, EMPTY, dry_run=True)
    assert not (tmp_path / "kit.lock").exists()


def test_a_lock_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kit.lock").write_text("not a lock")
    assert run_lock(tmp_path, EMPTY).first
