from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of
from kit.bundle.manifest import Blob, File, FileTree
from kit.errors import VerificationError
from kit.ship.agent.place import place_tree, write_whole

FILES = {"config.json": b"{}", "weights/part-1": b"one", "weights/part-2": b"two"}
NOTHING = Blob("sha256:" + "0" * 64, 0)


def tree(files: dict[str, bytes] | None = None) -> FileTree:
    found = FILES if files is None else files
    listed = tuple(File(path, blob_of(data).digest, len(data)) for path, data in found.items())
    return FileTree("tiny", "model", "folder:model", NOTHING, NOTHING, listed)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    made = BlobStore(tmp_path)
    for data in (*FILES.values(), b"new"):
        made.write([data])
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_read_only_links_into_the_store(store: BlobStore) -> None:
    assert place_tree(store, tree())
    folder = store.folder / "models" / "tiny"
    assert content(folder) == FILES
    path = folder / "weights" / "part-1"
    assert path.samefile(store.path(blob_of(b"one").digest))
    assert path.stat().st_mode & 0o777 == 0o444


def test_a_tree_that_stands_is_left_alone(store: BlobStore) -> None:
    place_tree(store, tree())
    before = (store.folder / "models" / "tiny").stat().st_ino
    assert not place_tree(store, tree())
    assert (store.folder / "models" / "tiny").stat().st_ino == before


def test_another_version_takes_the_place_of_the_old_one(store: BlobStore) -> None:
    place_tree(store, tree())
    changed = {"config.json": b"new", "weights/part-1": b"one"}
    assert place_tree(store, tree(changed))
    assert content(store.folder / "models" / "tiny") == changed
    assert not list(store.partial.glob("old-*"))


@pytest.mark.parametrize("meddling", ["exchanged", "added", "removed"])
def test_what_somebody_changed_in_a_tree_is_put_right(store: BlobStore, meddling: str) -> None:
    place_tree(store, tree())
    folder = store.folder / "models" / "tiny"
    if meddling == "added":
        (folder / "extra").write_bytes(b"x")
    else:
        (folder / "config.json").unlink()
    if meddling == "exchanged":
        (folder / "config.json").write_bytes(b"{}")
    assert place_tree(store, tree())
    assert content(folder) == FILES


def test_datasets_stand_beside_models(store: BlobStore) -> None:
    place_tree(store, replace(tree(), kind="dataset", name="questions"))
    assert content(store.folder / "datasets" / "questions") == FILES


def test_a_missing_blob_leaves_the_old_tree(store: BlobStore) -> None:
    place_tree(store, tree())
    with pytest.raises(VerificationError, match="not there"):
        place_tree(store, tree({"config.json": b"never stored"}))
    assert content(store.folder / "models" / "tiny") == FILES


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "bundles" / "current.json"
    write_whole(path, b"one", 0o444)
    write_whole(path, b"two", 0o444)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o444
    assert list(path.parent.iterdir()) == [path]
    before = path.stat().st_ino
    write_whole(path, b"two", 0o444)
    assert path.stat().st_ino == before
    write_whole(path, b"two", 0o755)
    assert path.stat().st_mode & 0o777 == 0o755
