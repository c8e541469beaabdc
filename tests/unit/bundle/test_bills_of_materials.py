from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kit.bundle.bills_of_materials import observed
from kit.bundle.cut_frames import cut_tar
from kit.bundle.digest import blob_of
from kit.bundle.folder_target import FolderTarget
from kit.bundle.inventories import Inventories
from kit.bundle.manifest import Blob, Manifest
from kit.bundle.pack import pack_bundle
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.verify import verify_bundle
from kit.bundle.watch_layer import LayerWatch
from kit.errors import VerificationError
from kit.progress import NoProgress
from kit.sbom.layer_records import LayerRecords
from kit.sbom.records_json import dump_records
from tests.unit.bundle.factories import local_tree, pack_request, packed_bundle
from tests.unit.bundle.fake_engine import FORMS, FakeEngine
from tests.unit.bundle.test_pack import pack
from tests.unit.sbom.sbom_factories import COPYRIGHT, RELEASE, STATUS, metadata, schema_errors

# jsonschema takes seconds to be imported (a grammar of web addresses): one worker does it for all.
pytestmark = pytest.mark.xdist_group("schemas")

SITE = "opt/kit/lib/python3.11/site-packages"
DEEP = f"{SITE}/{'deep/' * 30}a-1.dist-info/METADATA"
SHALLOW = f"{SITE}/{'deep/' * 12}a-1.dist-info/METADATA"
BASE = {
    "var/lib/dpkg/status": STATUS,
    "etc/os-release": RELEASE,
    "usr/share/doc/bash/copyright": COPYRIGHT,
    "usr/bin/big": "x" * (2 << 20),
}
TOP = {f"{SITE}/torch-2.6.0.dist-info/METADATA": metadata("torch", "2.6.0", "License: BSD-3-Clause")}


def layer(
    files: dict[str, str], form: int = tarfile.PAX_FORMAT, links: dict[str, str] | None = None
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return out.getvalue()


def document(source: BundleSource, name: str) -> Any:
    found = next(item for item in source.manifest.documents if item.name == name)
    data = b"".join(source.read(found.blob.digest))
    assert schema_errors(data) is None
    return json.loads(data)


def components(source: BundleSource, name: str) -> list[str]:
    return [item["bom-ref"] for item in document(source, name)["components"]]


def packed(folder: Path, *layers: bytes, form: str = "25") -> BundleSource:
    engine = FakeEngine(form)
    return packed_bundle(folder, engine, images=(("train", engine.add(*layers)),))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("chunk", [77, 1 << 20])
def test_members_are_heard_of_in_every_form_of_tar(form: int, chunk: int) -> None:
    # Names beyond 256 bytes do not fit into the plain form.
    deep, turns = (SHALLOW, 2) if form == tarfile.USTAR_FORMAT else (DEEP, 25)
    files = {**BASE, deep: metadata("a", "1")}
    data = layer(files, form, {"usr/share/doc/libgcc-s1": "../doc/" + "x/../" * turns + "bash"})
    records = observed(data[place : place + chunk] for place in range(0, len(data), chunk))
    assert [path for path, _ in records.packages] == [deep, "var/lib/dpkg/status"]
    assert records.links == (("usr/share/doc/libgcc-s1", "usr/share/doc/bash"),)
    assert records.licences[0][1][0] == "GPL-3.0-or-later"


def test_a_database_beyond_a_frame_is_read_whole() -> None:
    many = "\n\n".join(f"Package: p{i}\nStatus: install ok installed\nVersion: {i}" for i in range(100_000))
    assert len(many) > 5 << 20
    ((_, packages),) = observed((layer({"var/lib/dpkg/status": many}),)).packages
    assert len(packages) == 100_000


def test_a_layer_that_is_cut_off_says_nothing_of_its_last_file() -> None:
    data = layer({"a": "b", "var/lib/dpkg/status": STATUS})
    assert observed((data[:1700],)).packages == ()
    assert observed((b"no tar at all",)) == LayerRecords()


def test_watching_changes_no_byte() -> None:
    data = layer({**BASE, **TOP})
    assert list(cut_tar((data,), watch=LayerWatch())) == list(cut_tar((data,)))


@pytest.mark.parametrize("form", FORMS)
def test_a_bundle_holds_a_bill_of_materials_for_every_part(tmp_path: Path, form: str) -> None:
    source = packed(tmp_path, layer(BASE), layer(TOP), form=form)
    assert [item.name for item in source.manifest.documents] == [
        "sbom/train.cdx.json",
        "sbom/models/tiny.cdx.json",
    ]
    assert components(source, "sbom/train.cdx.json") == [
        "os",
        "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libgcc-s1@12.2.0-14?arch=amd64&distro=debian-12",
        "pkg:pypi/torch@2.6.0",
    ]
    subject = document(source, "sbom/train.cdx.json")["metadata"]["component"]
    assert subject["hashes"][0]["content"] == source.manifest.images[0].config.digest[7:]
    verify_bundle(source, NoProgress())


def test_a_model_names_the_licence_of_its_card(tmp_path: Path) -> None:
    files = {"README.md": b"---\nlicense: apache-2.0\n---\n", "model.safetensors": b"w"}
    source = packed_bundle(tmp_path, trees=(local_tree(tmp_path / "m", files),))
    subject = document(source, "sbom/models/tiny.cdx.json")["metadata"]["component"]
    assert subject["licenses"] == [{"license": {"id": "Apache-2.0"}}]


def test_a_file_that_an_upper_layer_takes_away_is_not_listed(tmp_path: Path) -> None:
    source = packed(tmp_path, layer(BASE), layer(TOP), layer({"opt/.wh.kit": ""}))
    assert "pkg:pypi/torch@2.6.0" not in components(source, "sbom/train.cdx.json")


def _pack_twice(folder: Path, spoil: str) -> tuple[Manifest, Manifest, list[str]]:
    engine = FakeEngine()
    request = pack_request(engine, folder, images=(("train", engine.add(layer(BASE), layer(TOP))),))
    first = pack(request, engine, folder)
    inventories = folder / "bundle" / "partial" / "inventories"
    for path in inventories.iterdir():
        if spoil == "gone":
            path.unlink()
        else:
            path.write_text(spoil)
    engine.calls.clear()
    second = pack(request, engine, folder)
    return first, second, [call for call, _ in engine.calls]


@pytest.mark.parametrize("spoil", ["gone", "{half", '{"form": 0}'])
def test_lost_inventories_are_made_again_from_the_bundle_itself(tmp_path: Path, spoil: str) -> None:
    first, second, calls = _pack_twice(tmp_path, spoil)
    assert first == second
    assert calls == []


def test_inventories_are_believed_for_layers_packed_before(tmp_path: Path) -> None:
    # No layer is read for its inventory a second time.
    _, second, calls = _pack_twice(tmp_path, dump_records(LayerRecords()).decode())
    assert calls == []
    source = open_bundle(tmp_path / "bundle")
    assert source.manifest == second
    assert components(source, "sbom/train.cdx.json") == []


class ToldOfReads(FolderTarget):
    """A bundle's folder that notes which blobs are read back while packing."""

    asked: ClassVar[list[str]] = []

    def read(self, blob: Blob, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.asked.append(blob.digest)
        return super().read(blob, offset, length)


def test_no_layer_is_read_back_for_its_inventory(tmp_path: Path) -> None:
    engine, target = FakeEngine(), ToldOfReads(tmp_path / "bundle")
    files = {"README.md": b"---\nlicense: mit\n---\n", "w.safetensors": b"w"}
    images = (("train", engine.add(layer(BASE), layer(TOP))), ("serve", engine.add(layer(BASE))))
    trees = (local_tree(tmp_path / "m", files),)
    manifest = pack_bundle(
        pack_request(engine, tmp_path, images=images, trees=trees), engine, target, NoProgress()
    )
    assert len(manifest.documents) == 3
    # Of models the few small texts that may name a licence are.
    assert target.asked == [blob_of(files["README.md"]).digest]


def test_only_the_inventories_of_layers_in_the_bundle_are_kept(tmp_path: Path) -> None:
    engine = FakeEngine()
    folder = tmp_path / "bundle" / "partial" / "inventories"
    for content in (TOP, {"other": "x"}):
        request = pack_request(engine, tmp_path, images=(("train", engine.add(layer(BASE), layer(content))),))
        manifest = pack(request, engine, tmp_path)
        expected = {f"{item.diff_id[7:]}.json" for item in manifest.images[0].layers}
        assert {path.name for path in folder.iterdir()} == expected


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    inventories = Inventories(tmp_path / "file" / "below")
    inventories.keep("sha256:a", LayerRecords(gone=("x",)))
    assert inventories.get("sha256:a") == LayerRecords(gone=("x",))
    assert Inventories(tmp_path / "file" / "below").get("sha256:a") is None


def test_a_damaged_layer_is_not_taken_for_an_inventory(tmp_path: Path) -> None:
    source = packed(tmp_path, layer(BASE))
    stored = source.manifest.images[0].layers[0]
    from kit.bundle.compress_layers import plain_layer

    data = bytearray(b"".join(source.read(stored.digest)))
    data[len(data) // 2] ^= 1
    with pytest.raises(VerificationError):
        observed(plain_layer((bytes(data),), stored, "x"))
