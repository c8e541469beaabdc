from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kit.bundle.folder_target import alone
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.errors import ConfigError, EngineError, VerificationError
from kit.images.completed_packages import locks_folder
from kit.images.install_packages import packages_folder
from kit.images.known_locks import remember_lock, remembered_locks
from kit.images.needed import ImageHere
from kit.progress import NoProgress
from kit.project.lock import PinnedFile, TreePin, write_lock
from kit.workflow.prune import PruneReport
from kit.workflow.prune_project import PruneRequest, prune_project
from tests.unit.cli.test_main import run
from tests.unit.images.test_needed import kit_image, lock
from tests.unit.workflow.described_bundle import described_bundle

NEEDED_FILE, OTHER_FILE = "1" * 64, "2" * 64


@dataclass
class FakeShelf:
    """An engine's images; those in `used` cannot go."""

    here: list[ImageHere] = field(default_factory=list)
    used: tuple[str, ...] = ()
    removed: list[str] = field(default_factory=list)
    answers: bool = True

    def images(self) -> tuple[ImageHere, ...]:
        if not self.answers:
            raise EngineError("the docker engine does not answer")
        return tuple(self.here)

    def remove(self, reference: str) -> None:
        if reference in self.used:
            raise EngineError("docker keeps the image", where=reference, why="container 1f uses it")
        self.removed.append(reference)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def put(path: Path, data: bytes = b"12345", age: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def project(folder: Path) -> Path:
    """A project with a lock, a package cache, fetched files and leftovers of both."""
    tree = TreePin("model", "m", "modelscope:a/b", "v1", (PinnedFile("w", 5, f"sha256:{NEEDED_FILE}"),))
    folder.mkdir()
    write_lock(folder / "kit.lock", replace(lock(kit_image()), trees=(tree,)))
    hub = folder / ".kit" / "hub"
    for name in (NEEDED_FILE, OTHER_FILE):
        put(hub / "sha256" / name)
    put(hub / "partial" / "fresh")
    put(hub / "partial" / "stale", age=100_000)
    put(packages_folder() / "0ld" / "a.py")
    put(packages_folder() / "partial-now" / "a.py")
    stale = put(packages_folder() / "partial-old" / "a.py").parent
    os.utime(stale, (1, 1))
    put(locks_folder() / f"{OTHER_FILE}.lock")
    return folder


def prune(folder: Path, shelf: FakeShelf | None = None, **more: object) -> PruneReport:
    return prune_project(PruneRequest(folder, **more), shelf or FakeShelf())  # type: ignore[arg-type]


def test_what_the_lock_needs_stays_and_the_rest_goes(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    sets = prune(folder, dry_run=True)
    report = prune(folder)
    assert [(item.kind, Path(item.what).name) for item in report.items] == [
        ("fetched file", OTHER_FILE),
        ("unfinished", "stale"),
        ("unfinished", "partial-old"),
        ("packages", "0ld"),
        ("package lock", f"{OTHER_FILE}.lock"),
    ]
    assert report.size == 25
    assert sets.items == report.items
    left = files_below(tmp_path)
    assert f"p/.kit/hub/sha256/{NEEDED_FILE}" in left
    assert "cache/packages/partial-now/a.py" in left
    assert not [name for name in left if OTHER_FILE in name or "0ld" in name]
    assert prune(folder).items == ()


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    before = files_below(tmp_path)
    shelf = FakeShelf([ImageHere("old", (), "before", "", 7)])
    assert prune(folder, shelf, dry_run=True).size == 32
    assert files_below(tmp_path) == before
    assert shelf.removed == []


def test_without_a_lock_only_bundles_are_looked_at(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    (folder / "kit.lock").unlink()
    before = files_below(tmp_path)
    report = prune(folder)
    assert report.items == ()
    assert "no kit.lock" in report.kept[0]
    assert files_below(tmp_path) == before


def test_what_another_lock_or_bundle_needs_stays_too(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    tree = TreePin("model", "m", "modelscope:a/b", "v0", (PinnedFile("w", 5, f"sha256:{OTHER_FILE}"),))
    write_lock(tmp_path / "other.lock", replace(lock(), trees=(tree,)))
    report = prune(folder, keep=(tmp_path / "other.lock",))
    assert "fetched file" not in {item.kind for item in report.items}


def test_what_other_projects_of_this_machine_need_stays_too(tmp_path: Path) -> None:
    folder, other = project(tmp_path / "p"), tmp_path / "q" / "kit.lock"
    other.parent.mkdir()
    write_lock(other, lock(kit_image(inputs_digest="sha256:others")))
    shelf = FakeShelf([ImageHere("theirs", (), "sha256:others", "", 1)])
    remember_lock(other)
    remember_lock(folder / "kit.lock")
    report = prune(folder, shelf)
    assert shelf.removed == []
    assert report.counted == (str(other),)
    other.unlink()
    assert prune(folder, shelf).counted == ()
    assert shelf.removed == ["theirs"]


@pytest.mark.parametrize("content", ["{", None])
def test_a_project_whose_lock_cannot_be_read_keeps_packages_and_images(
    tmp_path: Path, content: str | None
) -> None:
    folder, other = project(tmp_path / "p"), tmp_path / "q.lock"
    if content:
        other.write_text(content)
    else:
        write_lock(other, lock(kit_image(packages_digest="sha256:unknown")))
    remember_lock(other)
    report = prune(folder, FakeShelf([ImageHere("old", (), "before", "", 7)]))
    assert not {"packages", "package lock", "image"} & {item.kind for item in report.items}
    assert str(other) in report.kept[0]


def test_locks_are_remembered_where_the_disk_lets_them_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "cache")
    remember_lock(put(tmp_path / "kit.lock"))
    assert remembered_locks() == ()
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path)
    remember_lock(Path("kit.lock"))
    assert remembered_locks() == (tmp_path / "kit.lock",)


def test_packages_of_a_lock_that_this_kit_does_not_know_all_stay(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    write_lock(tmp_path / "other.lock", lock(kit_image(packages_digest="sha256:unknown")))
    report = prune(folder, keep=(tmp_path / "other.lock",))
    assert not {"packages", "image"} & {item.kind for item in report.items}
    assert "not known to this version" in report.kept[0]


def test_blobs_that_kit_json_does_not_name_go(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    bundle = tmp_path / "bundle"
    stray = put(bundle / "blobs" / "sha256" / ("f" * 64))
    put(bundle / "partial" / "new-abc")
    put(bundle / "partial" / "next" / "kit.json")
    report = prune(tmp_path)
    assert [item.kind for item in report.items] == ["blob", "unfinished", "unfinished"]
    assert not stray.exists()
    verify_bundle(open_bundle(bundle), NoProgress())
    assert prune(tmp_path).items == ()


def _pack_at_work(bundle: Path, act: Callable[[], PruneReport]) -> PruneReport:
    with alone(bundle / "partial"):
        return act()


def test_a_folder_that_a_pack_is_writing_to_is_left_alone(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    bundle = tmp_path / "bundle"
    put(bundle / "blobs" / "sha256" / ("f" * 64))
    report = _pack_at_work(bundle, lambda: prune(tmp_path))
    assert report.items == ()
    assert "another kit bundle" in report.kept[0]


def test_the_first_pack_of_a_folder_keeps_its_blobs_until_it_is_done(tmp_path: Path) -> None:
    stray = put(tmp_path / "bundle" / "blobs" / "sha256" / ("f" * 64))
    report = prune(tmp_path)
    assert stray.exists()
    assert "no bundle in this folder" in report.kept[0]


def test_a_tarball_has_nothing_to_spare(tmp_path: Path) -> None:
    report = prune(tmp_path, bundles=(put(tmp_path / "crossing.tar"),))
    assert "not a bundle's folder" in report.kept[0]
    assert (tmp_path / "crossing.tar").exists()


def test_a_damaged_bundle_stops_everything_before_anything_goes(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    described_bundle(folder)
    (folder / "bundle" / "kit.json").write_bytes(b"{}")
    before = files_below(tmp_path)
    with pytest.raises(VerificationError):
        prune(folder)
    assert files_below(tmp_path) == before


def test_something_to_keep_that_is_not_there_stops_everything(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    before = files_below(tmp_path)
    with pytest.raises(ConfigError):
        prune(folder, keep=(tmp_path / "nothing",))
    assert files_below(tmp_path) == before


def test_old_images_go_by_their_tags_and_those_in_use_stay(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    shelf = FakeShelf(
        [
            ImageHere("dangling", (), "before", "", 1),
            ImageHere("tagged", ("kit.invalid/a:built-x", "kit.invalid/b:built-x"), "before", "", 2),
            ImageHere("used", (), "older", "", 4),
            ImageHere("needed", ("kit.invalid/kit:built-cpu",), "sha256:inputs", "", 8),
        ],
        used=("used",),
    )
    report = prune(folder, shelf)
    assert shelf.removed == ["dangling", "kit.invalid/a:built-x", "kit.invalid/b:built-x"]
    assert [item.size for item in report.items if item.kind == "image"] == [1, 2]
    assert report.kept == ("image used: container 1f uses it",)


def test_an_engine_that_does_not_answer_keeps_what_it_has(tmp_path: Path) -> None:
    report = prune(project(tmp_path / "p"), FakeShelf(answers=False))
    assert report.items
    assert report.kept == ("images of the docker engine: the docker engine does not answer",)


def test_the_command_says_what_would_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    folder = project(tmp_path / "p")
    found = run("prune", "--dry-run", "-f", str(folder / "kit.yaml"))
    assert found.exit_code == 0
    assert "5 things would go, 25 B" in found.stdout
    document = json.loads(run("prune", "--dry-run", "--json", "-f", str(folder / "kit.yaml")).stdout)
    assert (document["size"], document["dry_run"], len(document["items"])) == (25, True, 5)
