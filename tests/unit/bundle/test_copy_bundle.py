from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from kit.bundle.copy_bundle import copy_bundle
from kit.bundle.folder_target import FolderTarget
from kit.bundle.sign import sign_bundle
from kit.bundle.source import open_bundle
from kit.errors import TransferError, VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import as_tarball, packed_bundle
from tests.unit.signature.soft_keys import ed25519_key, sshsig

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tarball_is_the_folder(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    with tarfile.open(as_tarball(source, tmp_path / "b.tar")) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    assert open_bundle(tmp_path / "out").manifest == source.manifest


def test_what_describes_the_bundle_comes_last(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    with tarfile.open(as_tarball(source, tmp_path / "b.tar")) as tar:
        names = tar.getnames()
    assert names[-5:] == ["index.json", "oci-layout", "kit.lock", "kit.json", "kit.end"]
    assert names[:-5] == ["blobs/" + blob.digest.replace(":", "/") for blob in source.manifest.blobs]


def test_a_signature_comes_right_after_kit_json_and_back(tmp_path: Path) -> None:
    packed_bundle(tmp_path)
    key = ed25519_key()
    source = sign_bundle(tmp_path / "bundle", lambda message: sshsig(key, message))
    path = as_tarball(source, tmp_path / "b.tar")
    with tarfile.open(path) as tar:
        assert tar.getnames()[-3:] == ["kit.json", "kit.json.sig", "kit.end"]
    again = open_bundle(path)
    assert again.signature_bytes == source.signature_bytes
    copy_bundle(again, FolderTarget(tmp_path / "again"), NoProgress())
    assert open_bundle(tmp_path / "again").signature_bytes == source.signature_bytes


def test_a_tarball_of_a_tarball_is_itself(tmp_path: Path) -> None:
    path = as_tarball(packed_bundle(tmp_path), tmp_path / "b.tar")
    again = as_tarball(open_bundle(path), tmp_path / "again.tar")
    assert path.read_bytes() == again.read_bytes()


def test_a_damaged_blob_stops_writing_and_leaves_the_old_tarball(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    (tmp_path / "b.tar").write_bytes(b"old")
    blob = source.manifest.trees[0].files[1]
    path = tmp_path / "bundle" / "blobs" / blob.digest.replace(":", "/")
    path.chmod(0o644)
    path.write_bytes(b"x" * blob.size)
    with pytest.raises(VerificationError):
        as_tarball(source, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TransferError, match="file"):
        as_tarball(packed_bundle(tmp_path), tmp_path / "file" / "b.tar")
