"""Small bundles for tests; override by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.bundle.copy_bundle import copy_bundle
from kit.bundle.digest import blob_of
from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalFile, LocalTree, PackRequest
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.tar_target import TarTarget
from kit.bundle.volumes import LIST_SUFFIX, VolumeForm
from kit.progress import NoProgress
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

if TYPE_CHECKING:
    from pathlib import Path

BASE_LAYER = tar_of({"bin/sh": b"shell" * 4000})
TOP_LAYER = tar_of({"app/main.py": b"print('hello')\n"})
MODEL_FILES = {"config.json": b'{"hidden_size": 64}', "weights/model.safetensors": bytes(range(256)) * 64}


def local_tree(folder: Path, files: dict[str, bytes] | None = None, **overrides: Any) -> LocalTree:
    """A model written into `folder`."""
    files = MODEL_FILES if files is None else files
    found = []
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        found.append(LocalFile(path, place, blob_of(data)))
    fields = {"kind": "model", "name": "tiny", "source": "folder:model", "files": tuple(found)}
    return LocalTree(**{**fields, **overrides})


def pack_request(engine: FakeEngine, folder: Path, **overrides: Any) -> PackRequest:
    """One image of two layers and one model of two files."""
    fields: dict[str, Any] = {
        "name": "demo",
        "stack": "cpu",
        "lock_bytes": b'{"kit_lock":1}\n',
        "locked": "2026-05-01T12:30:00Z",
    }
    if "images" not in overrides:
        fields["images"] = (("train", engine.add(BASE_LAYER, TOP_LAYER, tag="train")),)
    if "trees" not in overrides:
        fields["trees"] = (local_tree(folder / "model"),)
    return PackRequest(**{**fields, **overrides})


def packed_bundle(folder: Path, engine: FakeEngine | None = None, **overrides: Any) -> BundleSource:
    """A bundle packed into `folder/bundle`, opened."""
    engine = engine or FakeEngine()
    pack_bundle(
        pack_request(engine, folder, **overrides), engine, FolderTarget(folder / "bundle"), NoProgress()
    )
    return open_bundle(folder / "bundle")


def as_tarball(source: BundleSource, path: Path, form: VolumeForm | None = None) -> Path:
    """The same bundle as a tarball or, cut, as volumes; returns what opens it."""
    copy_bundle(source, TarTarget(path, form, NoProgress()), NoProgress())
    return path.with_name(path.name + LIST_SUFFIX) if form else path
