from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.manifest import dump_manifest
from kit.bundle.source import SIGNATURE_LIMIT, open_bundle
from kit.bundle.tar_form import END, padded, tar_header
from kit.bundle.verify import verify_bundle
from kit.bundle.volumes import VolumeForm
from kit.errors import ConfigError, KitError, VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import MODEL_FILES, as_tarball, packed_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.source import BundleSource


@pytest.fixture(params=["folder", "tarball", "volumes"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> BundleSource:
    bundle = packed_bundle(tmp_path)
    if request.param == "folder":
        return bundle
    form = VolumeForm(4096, 0) if request.param == "volumes" else None
    return open_bundle(as_tarball(bundle, tmp_path / "bundle.tar", form))


def test_both_forms_hold_the_same(source: BundleSource) -> None:
    assert dump_manifest(source.manifest) == source.manifest_bytes
    assert blob_of(source.lock_bytes).digest == source.manifest.lock_digest
    for file in source.manifest.trees[0].files:
        assert b"".join(source.read(file.digest)) == MODEL_FILES[file.path]


def test_ranges_are_read_and_end_with_the_blob(source: BundleSource) -> None:
    digest = source.manifest.trees[0].files[1].digest
    data = MODEL_FILES["weights/model.safetensors"]
    assert b"".join(source.read_range(digest, 100)) == data[100:]
    assert b"".join(source.read_range(digest, 100, 50)) == data[100:150]
    assert b"".join(source.read_range(digest, len(data) - 5, 500)) == data[-5:]
    assert b"".join(source.read_range(digest, len(data) + 5, 500)) == b""


def test_the_ranges_of_files_hold_the_same_bytes(source: BundleSource) -> None:
    digest = source.manifest.trees[0].files[1].digest
    data = MODEL_FILES["weights/model.safetensors"]
    for offset, length in ((0, len(data)), (100, 5000), (len(data) - 5, 500), (len(data) + 5, 500)):
        found = b""
        for part in source.ranges(digest, offset, length):
            assert part.length > 0
            found += part.path.read_bytes()[part.offset :][: part.length]
        assert found == data[offset : offset + length]


def test_a_blob_that_is_not_listed_is_not_read(source: BundleSource) -> None:
    with pytest.raises(VerificationError, match="no blob"):
        source.read("sha256:" + "0" * 64)


def test_where_nothing_is_the_user_is_told_to_make_a_bundle(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match="kit bundle"):
            open_bundle(path)


# The directory form.


def _bundle_folder(tmp_path: Path) -> Path:
    packed_bundle(tmp_path)
    return tmp_path / "bundle"


def _rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["kit.json", "index.json", "oci-layout", "kit.lock"])
@pytest.mark.parametrize("change", [lambda d: d + b" ", lambda d: d[:-1], lambda d: d.replace(b"1", b"2", 1)])
def test_a_changed_description_is_refused(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    folder = _bundle_folder(tmp_path)
    _rewrite(folder / name, change((folder / name).read_bytes()))
    with pytest.raises(VerificationError):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "kit.lock"])
def test_a_missing_description_is_refused(tmp_path: Path, name: str) -> None:
    folder = _bundle_folder(tmp_path)
    (folder / name).unlink()
    with pytest.raises(VerificationError, match=name):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["kit.json", "index.json", "kit.lock"])
def test_a_description_that_is_a_symlink_is_refused(tmp_path: Path, name: str) -> None:
    folder = _bundle_folder(tmp_path)
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerificationError, match=name):
        open_bundle(folder)


def _gone(path: Path) -> None:
    path.unlink()


def _shorter(path: Path) -> None:
    _rewrite(path, path.read_bytes()[:-1])


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [_gone, _shorter, _link, _pipe])
def test_a_blob_that_is_no_file_of_its_size_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = _bundle_folder(tmp_path)
    digest = open_bundle(folder).manifest.trees[0].files[1].digest
    spoil(folder / "blobs" / digest.replace(":", "/"))
    with pytest.raises(VerificationError, match=digest):
        open_bundle(folder)


def test_a_manifest_that_lies_about_an_image_is_refused(tmp_path: Path) -> None:
    folder = _bundle_folder(tmp_path)
    document = json.loads((folder / "kit.json").read_bytes())
    document["images"][0]["layers"].reverse()
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    _rewrite(folder / "kit.json", text.encode() + b"\n")
    with pytest.raises(VerificationError, match="train"):
        open_bundle(folder)


def test_a_signature_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    folder = _bundle_folder(tmp_path)
    (folder / "kit.json.sig").write_bytes(b"x" * (SIGNATURE_LIMIT + 1))
    with pytest.raises(VerificationError, match="larger than"):
        open_bundle(folder)
    (folder / "kit.json.sig").unlink()
    (folder / "kit.json.sig").symlink_to("nowhere")
    with pytest.raises(VerificationError, match=r"kit\.json\.sig"):
        open_bundle(folder)


# The tarball form: whatever is not exactly what kit writes is refused.


def _members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def whole_tarball(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    as_tarball(packed_bundle(folder), folder / "bundle.tar")
    return (folder / "bundle.tar").read_bytes()


@pytest.fixture
def tarball(tmp_path: Path, whole_tarball: bytes) -> Path:
    path = tmp_path / "bundle.tar"
    path.write_bytes(whole_tarball)
    return path


def _write(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    out = io.BytesIO()
    for info, data in members:
        info.size = len(data) if info.isreg() else 0
        if info.isreg() and not info.pax_headers:
            out.write(tar_header(info.name, info.size))
        else:
            out.write(info.tobuf(format=tarfile.PAX_FORMAT if info.pax_headers else tarfile.GNU_FORMAT))
        out.write(data.ljust(padded(info.size), b"\0") if info.isreg() else b"")
    out.write(END)
    path.write_bytes(out.getvalue())


def _extra(name: str, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, b"evil" if info.isreg() else b""


HOSTILE = [
    _extra("../../etc/cron.d/evil"),
    _extra("/etc/passwd"),
    _extra("blobs/sha256/../../evil"),
    _extra("blobs/sha256/" + "0" * 64),
    _extra("README"),
    _extra("kit.json"),
    _extra("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    _extra("kit.lock", type=tarfile.LNKTYPE, linkname="kit.json"),
    _extra("device", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    _extra("pipe", type=tarfile.FIFOTYPE),
    _extra("folder", type=tarfile.DIRTYPE),
    _extra("kit.json.sig"),
    _extra("kit.json.sig", type=tarfile.SYMTYPE, linkname="kit.json"),
    _extra("kit.json", pax_headers={"path": "/etc/passwd"}),
]


@pytest.mark.parametrize("place", [0, 1, 5, -1])
@pytest.mark.parametrize("member", HOSTILE, ids=lambda member: f"{member[0].name}-{member[0].type.decode()}")
def test_a_member_too_many_is_refused(
    tarball: Path, member: tuple[tarfile.TarInfo, bytes], place: int
) -> None:
    members = _members(tarball)
    members.insert(place if place >= 0 else len(members), member)
    _write(tarball, members)
    with pytest.raises(VerificationError):
        open_bundle(tarball)


def _swap(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[-1], members[-2] = members[-2], members[-1]


def _drop(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.pop()


def _twice(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[-1] = members[-2]


@pytest.mark.parametrize("change", [_swap, _drop, _twice])
def test_members_in_another_order_or_number_are_refused(
    tarball: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]
) -> None:
    members = _members(tarball)
    change(members)
    _write(tarball, members)
    with pytest.raises(VerificationError):
        open_bundle(tarball)


def test_a_tarball_written_again_the_same_way_opens(tarball: Path) -> None:
    before = tarball.read_bytes()
    _write(tarball, _members(tarball))
    assert tarball.read_bytes() == before
    open_bundle(tarball)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 1000, 4000, -1, -512, -1024])
def test_a_tarball_that_is_cut_off_is_refused(tarball: Path, length: int) -> None:
    tarball.write_bytes(tarball.read_bytes()[:length])
    with pytest.raises(VerificationError):
        open_bundle(tarball)


def test_bytes_after_the_end_are_refused(tarball: Path) -> None:
    tarball.write_bytes(tarball.read_bytes() + b"\0" * 512)
    with pytest.raises(VerificationError):
        open_bundle(tarball)


def test_every_flipped_byte_of_a_tarball_is_refused(tarball: Path) -> None:
    whole = tarball.read_bytes()
    step = 61  # coprime to the block size, so every place within a block is hit
    for place in range(0, len(whole), step):
        tarball.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        with pytest.raises(KitError) as caught:
            verify_bundle(open_bundle(tarball), NoProgress())
        assert isinstance(caught.value, VerificationError), place
