from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.manifest import FileTree
from kit.errors import VerificationError
from kit.ship.agent.place import place_tree
from kit.ship.agent.proof import prove_trees
from tests.unit.ship.factories import ship_bundle_source


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    ship_bundle_source(tmp_path)
    return BlobStore(tmp_path / "bundle")


@pytest.fixture
def tree(tmp_path: Path, store: BlobStore) -> FileTree:
    del store
    from kit.bundle.source import open_bundle

    found = open_bundle(tmp_path / "bundle").manifest.tree("model", "tiny")
    assert found is not None
    return found


@pytest.fixture
def weights(store: BlobStore, tree: FileTree) -> Path:
    """A placed file."""
    place_tree(store, tree)
    return store.folder / "models/tiny/weights/model.safetensors"


def test_placed_files_are_counted(store: BlobStore, tree: FileTree, weights: Path) -> None:
    del weights
    proof = prove_trees(store, (tree,))
    assert (proof.files, proof.bytes) == (len(tree.files), sum(file.size for file in tree.files))
    assert prove_trees(store, ()).files == 0


def test_files_are_links_into_the_store_and_read_only(
    store: BlobStore, tree: FileTree, weights: Path
) -> None:
    digest = next(file.digest for file in tree.files if file.path.startswith("weights"))
    assert weights.samefile(store.path(digest))
    assert (stat.S_IMODE(weights.stat().st_mode), weights.stat().st_nlink) == (0o444, 2)


def test_a_file_that_was_made_writable_is_closed_again(
    store: BlobStore, tree: FileTree, weights: Path
) -> None:
    weights.chmod(0o644)
    prove_trees(store, (tree,))
    assert stat.S_IMODE(weights.stat().st_mode) == 0o444


@pytest.mark.parametrize("wrong", ["gone", "copied", "linked", "longer", "other bytes"])
def test_a_file_that_is_not_the_bundles_is_told_of(
    store: BlobStore, tree: FileTree, weights: Path, wrong: str
) -> None:
    data = weights.read_bytes()
    weights.chmod(0o644)
    if wrong == "other bytes":
        weights.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        os.utime(weights, (1, 1))
    elif wrong == "longer":
        weights.write_bytes(data + b"x")
    else:
        target = weights.rename(weights.with_name("moved"))
        if wrong == "copied":
            weights.write_bytes(data)
        elif wrong == "linked":
            weights.symlink_to(target)
    with pytest.raises(VerificationError, match=r"model\.safetensors"):
        prove_trees(store, (tree,))
