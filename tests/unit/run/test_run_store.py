from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kit.errors import UnfitError, VerificationError
from kit.jobs.launch import LaunchFile
from kit.run.run_store import RunStore, plain_relative
from tests.unit.run.factories import record


def test_a_run_is_laid_out_whole_and_becomes_the_latest(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    files = (LaunchFile("compose.yaml", "x"), LaunchFile("sub/secret", "y", 0o600))
    folder = store.create(record(), ("out", "logs"), files)
    assert (folder / "compose.yaml").read_text() == "x"
    assert stat.S_IMODE((folder / "sub" / "secret").stat().st_mode) == 0o600
    assert (folder / "out").is_dir()
    assert (tmp_path / "runs" / "train" / "latest").resolve() == folder.resolve()
    assert store.read("train", record().run_id) == record()


def test_a_file_that_would_leave_the_folder_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(VerificationError):
        store.create(record(), (), (LaunchFile("../escape", "x"),))
    assert list(store.records()) == []
    assert not (tmp_path / "runs" / "train" / "latest").exists()


@pytest.mark.parametrize("path", ["", "/abs", "..", "a/../b", "a//b", "./a", "a\\b", "a\0b", "a/"])
def test_only_plain_relative_paths_pass(path: str) -> None:
    with pytest.raises(VerificationError):
        plain_relative(path)


@pytest.mark.parametrize("name", ["..", "a/b", "", "UP", ".hidden"])
def test_names_of_jobs_and_runs_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(VerificationError):
        RunStore(tmp_path).folder(name, "x")


def test_records_come_newest_first_and_drafts_do_not_count(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for run_id in ("20260101-000000-aa", "20260102-000000-aa"):
        store.create(record(run_id=run_id), (), ())
    (tmp_path / "runs" / "train" / ".20260103-000000-aa.new").mkdir()
    (tmp_path / "runs" / "train" / "20260104-000000-aa").mkdir()
    assert [found.run_id for found in store.records("train")] == ["20260102-000000-aa", "20260101-000000-aa"]
    assert [found.run_id for found in store.records()] == ["20260102-000000-aa", "20260101-000000-aa"]


def test_a_run_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match="no run"):
        RunStore(tmp_path).read("train", "20260101-000000-aa")


def test_a_record_of_somebody_else_is_said_to_be_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    store = RunStore(tmp_path)
    store.create(record(), (), ())
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root, as whom tests may run, may read everything
    with pytest.raises(UnfitError, match="cannot be read") as caught:
        list(store.records())
    assert "chown" in caught.value.fix
