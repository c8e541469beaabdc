from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from kit.bundle.source import open_bundle
from kit.bundle.write_tarball import tarball_chunks, tarball_size, write_tarball
from kit.errors import TransferError, VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import packed_bundle
from tests.unit.signature.soft_keys import ed25519_key, sshsig

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tarball_is_the_folder(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    assert write_tarball(source, tmp_path / "b.tar", NoProgress()) == (tmp_path / "b.tar").stat().st_size
    with tarfile.open(tmp_path / "b.tar") as tar:
        tar.extractall(tmp_path / "out", filter="data")
    assert open_bundle(tmp_path / "out").manifest == source.manifest


def test_kit_json_comes_first_and_blobs_in_order(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    write_tarball(source, tmp_path / "b.tar", NoProgress())
    with tarfile.open(tmp_path / "b.tar") as tar:
        names = tar.getnames()
    assert names[:4] == ["kit.json", "index.json", "oci-layout", "kit.lock"]
    assert names[4:] == ["blobs/" + blob.digest.replace(":", "/") for blob in source.manifest.blobs]


def test_a_signature_comes_right_after_kit_json(tmp_path: Path) -> None:
    signature = sshsig(ed25519_key(), packed_bundle(tmp_path).manifest_bytes)
    (tmp_path / "bundle" / "kit.json.sig").write_bytes(signature)
    write_tarball(open_bundle(tmp_path / "bundle"), tmp_path / "b.tar", NoProgress())
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames()[:3] == ["kit.json", "kit.json.sig", "index.json"]
    again = open_bundle(tmp_path / "b.tar")
    assert again.signature_bytes == signature
    assert b"".join(tarball_chunks(again)) == (tmp_path / "b.tar").read_bytes()


def test_a_tarball_of_a_tarball_is_itself(tmp_path: Path) -> None:
    write_tarball(packed_bundle(tmp_path), tmp_path / "b.tar", NoProgress())
    again = open_bundle(tmp_path / "b.tar")
    assert b"".join(tarball_chunks(again)) == (tmp_path / "b.tar").read_bytes()
    assert tarball_size(again) == (tmp_path / "b.tar").stat().st_size


def test_a_damaged_blob_stops_writing_and_leaves_the_old_tarball(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    (tmp_path / "b.tar").write_bytes(b"old")
    blob = source.manifest.trees[0].files[1]
    path = tmp_path / "bundle" / "blobs" / blob.digest.replace(":", "/")
    path.chmod(0o644)
    path.write_bytes(b"x" * blob.size)
    with pytest.raises(VerificationError):
        write_tarball(source, tmp_path / "b.tar", NoProgress())
    assert (tmp_path / "b.tar").read_bytes() == b"old"
    assert not list(tmp_path.glob("*.new"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="missing"):
        write_tarball(packed_bundle(tmp_path), tmp_path / "missing" / "b.tar", NoProgress())
