from __future__ import annotations

from pathlib import Path

from kit.images.leave_out import leave_out
from kit.images.stacks import find_stack

FILES = (
    "pkg/a.py",
    "pkg/tests/b.py",
    "pkg/sub/tests/c/d.txt",
    "pkg/tests.py",
    "pkg/tasks/e.py",
    "pkg/tasks/f/g.yaml",
)


def _installed(folder: Path) -> Path:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    record = folder / "pkg-1.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("".join(f"{name},sha256=x,1\n" for name in (*FILES, "pkg-1.dist-info/RECORD")))
    return record


def _left(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "RECORD"
    }


def test_folders_and_files_that_match_are_gone_and_no_longer_recorded(tmp_path: Path) -> None:
    record = _installed(tmp_path)
    gone = leave_out(tmp_path, ("pkg/**/tests", "pkg/tasks/*/*"))
    assert gone == ("pkg/sub/tests/c/d.txt", "pkg/tasks/f/g.yaml", "pkg/tests/b.py")
    assert _left(tmp_path) == set(FILES) - set(gone)
    assert not (tmp_path / "pkg/tests").exists()
    assert not (tmp_path / "pkg/tasks/f").exists()
    recorded = [line.split(",")[0] for line in record.read_text().splitlines()]
    assert recorded == ["pkg/a.py", "pkg/tests.py", "pkg/tasks/e.py", "pkg-1.dist-info/RECORD"]


def test_a_name_with_a_comma_is_found_in_the_record(tmp_path: Path) -> None:
    record = _installed(tmp_path)
    (tmp_path / "pkg/tests/x,y.txt").write_text("")
    record.write_text('"pkg/tests/x,y.txt",sha256=x,1\npkg/a.py,sha256=x,1\n')
    leave_out(tmp_path, ("pkg/tests",))
    assert record.read_text() == "pkg/a.py,sha256=x,1\n"


def test_what_matches_nothing_changes_nothing(tmp_path: Path) -> None:
    record = _installed(tmp_path)
    before = record.stat()
    assert leave_out(tmp_path, ("other/tests",)) == ()
    assert _left(tmp_path) == set(FILES)
    assert record.stat().st_ino == before.st_ino


def test_a_link_is_removed_and_what_it_points_to_stays(tmp_path: Path) -> None:
    _installed(tmp_path)
    (tmp_path / "pkg/tests/up").symlink_to(tmp_path / "pkg/sub")
    gone = leave_out(tmp_path, ("pkg/tests",))
    assert "pkg/tests/up" in gone
    assert (tmp_path / "pkg/sub/tests/c/d.txt").is_file()


def test_a_hard_link_into_uvs_cache_is_not_written_through(tmp_path: Path) -> None:
    record = _installed(tmp_path / "layer")
    (tmp_path / "cached").hardlink_to(record)
    before = (tmp_path / "cached").read_text()
    leave_out(tmp_path / "layer", ("pkg/tests",))
    assert (tmp_path / "cached").read_text() == before != record.read_text()


def test_what_numpy_reads_of_its_own_tests_stays(tmp_path: Path) -> None:
    read, unread = "numpy/_core/tests/_natype.py", "numpy/_core/tests/test_dtype.py"
    for name in (read, unread):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert leave_out(tmp_path, find_stack("cu126").leave_out) == (unread,)
    assert (tmp_path / read).exists()
