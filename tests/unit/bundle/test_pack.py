from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import dump_manifest
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalDocument
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.errors import ConfigError, EngineError, VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import BASE_LAYER, TOP_LAYER, local_tree, pack_request, packed_bundle
from tests.unit.bundle.fake_engine import FORMS, FakeEngine, config_of, hexdigest, tar_of
from tests.unit.signature.soft_keys import ed25519_key, sshsig

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.manifest import Manifest
    from kit.bundle.pack_listener import PackedImage
    from kit.bundle.pack_request import PackRequest

NEW_TOP = tar_of({"app/main.py": b"print('changed')\n"})


def pack(request: PackRequest, engine: FakeEngine, folder: Path) -> Manifest:
    return pack_bundle(request, engine, FolderTarget(folder / "bundle"), NoProgress())


def saves(engine: FakeEngine) -> int:
    return sum(call[0] == "save" for call in engine.calls)


def state(folder: Path) -> dict[str, bytes]:
    bundle = folder / "bundle"
    kept = [path for path in bundle.rglob("*") if path.is_file() and "partial" not in path.parts]
    return {str(path.relative_to(bundle)): path.read_bytes() for path in kept}


@pytest.mark.parametrize("form", FORMS)
def test_every_engine_gives_the_same_whole_bundle(tmp_path: Path, form: str) -> None:
    source = packed_bundle(tmp_path / "one", FakeEngine(form))
    verify_bundle(source, NoProgress())
    image = source.manifest.images[0]
    assert [layer.diff_id for layer in image.layers] == [
        "sha256:" + hexdigest(BASE_LAYER),
        "sha256:" + hexdigest(TOP_LAYER),
    ]
    assert source.manifest_bytes == packed_bundle(tmp_path / "two", FakeEngine("25")).manifest_bytes


class Listening:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[str] = []

    def packed(self, image: PackedImage) -> None:
        data = b"".join(image.read(image.image.config.digest))
        assert blob_of(data) == image.image.config
        with pytest.raises(VerificationError, match="has no blob"):
            image.read("sha256:" + "0" * 64)
        self.heard.append(image.image.name)

    def release(self) -> None:
        assert not (self.folder / "kit.json").exists()
        self.heard.append("released")


def test_images_are_told_of_as_they_are_packed_the_smallest_first(tmp_path: Path) -> None:
    engine = FakeEngine()
    images = (("large", engine.add(BASE_LAYER, TOP_LAYER)), ("small", engine.add(TOP_LAYER)))
    request = pack_request(engine, tmp_path, images=images)
    listening = Listening(tmp_path / "bundle")
    target = FolderTarget(tmp_path / "bundle")
    manifest = pack_bundle(request, engine, target, NoProgress(), listener=listening)
    assert listening.heard == ["small", "large", "released"]
    assert [image.name for image in manifest.images] == ["large", "small"]


def test_packing_again_asks_the_engine_for_nothing(tmp_path: Path) -> None:
    engine = FakeEngine()
    request = pack_request(engine, tmp_path)
    first = pack(request, engine, tmp_path)
    before = state(tmp_path)
    engine.calls.clear()
    assert pack(request, engine, tmp_path) == first
    assert engine.calls == []
    assert state(tmp_path) == before


def test_an_image_named_by_tag_is_looked_up_and_not_read_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.add(BASE_LAYER, tag="train")
    request = pack_request(engine, tmp_path, images=(("train", "train"),))
    pack(request, engine, tmp_path)
    pack(request, engine, tmp_path)
    assert [call[0] for call in engine.calls] == ["inspect", "save", "inspect"]


def test_packing_elsewhere_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = packed_bundle(tmp_path / "one"), packed_bundle(tmp_path / "two")
    assert one.manifest_bytes == two.manifest_bytes
    assert state(tmp_path / "one") == state(tmp_path / "two")


@pytest.mark.parametrize("form", FORMS)
def test_a_new_top_layer_leaves_the_others_as_they_are(tmp_path: Path, form: str) -> None:
    engine = FakeEngine(form)
    old = pack(pack_request(engine, tmp_path), engine, tmp_path).images[0]
    base = tmp_path / "bundle" / "blobs" / old.layers[0].digest.replace(":", "/")
    before = base.stat()
    request = pack_request(engine, tmp_path, images=(("train", engine.add(BASE_LAYER, NEW_TOP)),))
    new = pack(request, engine, tmp_path).images[0]
    assert new.layers[0] == old.layers[0]
    assert base.stat().st_ino == before.st_ino
    assert new.layers[1] != old.layers[1]


OLD_BASE = tar_of({"bin/sh": b"vendor's" * 4000}, mtime=1_700_000_000)
OLD_OWN = tar_of({"app": b"own"}, mtime=1_800_000_000)


def test_two_builds_of_the_same_contents_give_the_same_image(tmp_path: Path) -> None:
    engine = FakeEngine()
    found = []
    for time in (1_700_000_000, 1_800_000_000):
        layer = tar_of({"bin/sh": b"shell" * 4000}, mtime=time)
        built = engine.add(layer, created=f"{time}", container=f"{time}")
        request = pack_request(engine, tmp_path, images=(("train", built),))
        found.append(pack_bundle(request, engine, FolderTarget(tmp_path / f"{time}"), NoProgress()))
    assert found[0] == found[1]


@pytest.mark.parametrize("form", FORMS)
def test_layers_from_upstream_keep_their_bytes_and_others_are_normalised(tmp_path: Path, form: str) -> None:
    engine = FakeEngine(form)
    engine.add(OLD_BASE, tag="python@sha256:1")
    built = engine.add(OLD_BASE, OLD_OWN)
    request = pack_request(
        engine, tmp_path, images=(("train", built),), upstream=("python@sha256:1",), trees=()
    )
    image = pack(request, engine, tmp_path).images[0]
    base, own = image.layers
    assert base.diff_id == "sha256:" + hexdigest(OLD_BASE)
    assert own.diff_id == "sha256:" + hexdigest(tar_of({"app": b"own"}))
    verify_bundle(open_bundle(tmp_path / "bundle"), NoProgress())
    engine.calls.clear()
    assert pack(request, engine, tmp_path).images == (image,)
    assert engine.calls == [("inspect", "python@sha256:1")]
    del engine.images["python@sha256:1"]
    assert pack(request, engine, tmp_path).images == (image,)


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_image_from_upstream_keeps_its_config_too(tmp_path: Path, form: str) -> None:
    engine = FakeEngine(form)
    pulled = engine.add(OLD_BASE, tag="data@sha256:1", created="2026-05-01T12:30:00Z")
    request = pack_request(engine, tmp_path, images=(("data", pulled),), upstream=("data@sha256:1",))
    manifest = pack(request, engine, tmp_path)
    assert manifest.images[0].config.digest == "sha256:" + hexdigest(
        config_of((OLD_BASE,), created="2026-05-01T12:30:00Z")
    )
    normalised = pack(replace(request, upstream=()), engine, tmp_path)
    assert normalised.images[0].layers[0].diff_id != manifest.images[0].layers[0].diff_id
    assert pack(request, engine, tmp_path) == manifest


@pytest.mark.parametrize("form", FORMS)
def test_an_image_from_upstream_is_the_same_out_of_another_engine(tmp_path: Path, form: str) -> None:
    found = []
    for engine in (FakeEngine(), FakeEngine(form)):
        pulled = engine.add(OLD_BASE, tag="data@sha256:1", created="2026-05-01T12:30:00Z")
        request = pack_request(engine, tmp_path, images=(("data", pulled),), upstream=("data@sha256:1",))
        found.append(pack(request, engine, tmp_path))
    assert found[0] == found[1]


def test_what_only_the_old_bundle_needed_is_removed(tmp_path: Path) -> None:
    engine = FakeEngine()
    old = pack(pack_request(engine, tmp_path), engine, tmp_path)
    request = pack_request(engine, tmp_path, images=(("train", engine.add(BASE_LAYER, NEW_TOP)),))
    new = pack(request, engine, tmp_path)
    names = {path.name for path in (tmp_path / "bundle" / "blobs" / "sha256").iterdir()}
    assert names == {blob.digest.removeprefix("sha256:") for blob in new.blobs}
    assert old.images[0].layers[1].digest.removeprefix("sha256:") not in names


def test_a_signature_stays_as_long_as_kit_json_does(tmp_path: Path) -> None:
    engine = FakeEngine()
    pack(pack_request(engine, tmp_path), engine, tmp_path)
    signature = tmp_path / "bundle" / "kit.json.sig"
    signature.write_bytes(sshsig(ed25519_key(), (tmp_path / "bundle" / "kit.json").read_bytes()))
    before = signature.read_bytes()
    pack(pack_request(engine, tmp_path), engine, tmp_path)
    assert signature.read_bytes() == before
    request = pack_request(engine, tmp_path, images=(("train", engine.add(BASE_LAYER, NEW_TOP)),))
    pack(request, engine, tmp_path)
    assert not signature.exists()
    assert open_bundle(tmp_path / "bundle").signature.status == "unsigned"


def test_a_bundle_is_signed_as_it_is_published(tmp_path: Path) -> None:
    engine = FakeEngine()
    target, heard = FolderTarget(tmp_path / "bundle"), []

    def sign(data: bytes) -> bytes:
        heard.append(data)
        return b"signature"

    manifest = pack_bundle(pack_request(engine, tmp_path), engine, target, NoProgress(), sign)
    assert heard == [dump_manifest(manifest)]
    assert (tmp_path / "bundle" / "kit.json.sig").read_bytes() == b"signature"


def test_an_engine_that_dies_leaves_the_old_bundle(tmp_path: Path) -> None:
    engine = FakeEngine()
    old = packed_bundle(tmp_path, engine)
    before = state(tmp_path)
    engine.cut_after = 70_000
    image_id = engine.add(BASE_LAYER, NEW_TOP, tar_of({"more": bytes(200_000)}))
    with pytest.raises(EngineError):
        pack(pack_request(engine, tmp_path, images=(("train", image_id),)), engine, tmp_path)
    after = open_bundle(tmp_path / "bundle")
    assert after.manifest == old.manifest
    verify_bundle(after, NoProgress())
    assert before.items() <= state(tmp_path).items()


def test_layers_finished_before_a_failure_are_not_compressed_again(tmp_path: Path) -> None:
    engine = FakeEngine("20.10", cut_after=140_000)
    layers = tuple(tar_of({f"file{i}": bytes([i]) * 60_000}) for i in range(4))
    request = pack_request(engine, tmp_path, images=(("train", engine.add(*layers)),))
    with pytest.raises(EngineError):
        pack(request, engine, tmp_path)
    blobs = {path: path.stat().st_ino for path in (tmp_path / "bundle" / "blobs" / "sha256").iterdir()}
    assert blobs
    engine.cut_after = None
    pack(request, engine, tmp_path)
    assert all(path.stat().st_ino == inode for path, inode in blobs.items())


def test_leftovers_of_a_killed_pack_are_removed(tmp_path: Path) -> None:
    partial = tmp_path / "bundle" / "partial"
    (partial / "next").mkdir(parents=True)
    (partial / "next" / "kit.json").write_bytes(b"half")
    (partial / "new-abc").write_bytes(b"half a blob")
    (partial / "pack.json").write_bytes(b"{half")
    packed_bundle(tmp_path)
    assert sorted(path.name for path in partial.iterdir()) == [
        "inventories",
        "lock",
        "pack.json",
        "verified.jsonl",
    ]


def test_a_damaged_layer_is_packed_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    request = pack_request(engine, tmp_path)
    manifest = pack(request, engine, tmp_path)
    path = tmp_path / "bundle" / "blobs" / manifest.images[0].layers[0].digest.replace(":", "/")
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(b"x" * size)
    assert pack(request, engine, tmp_path) == manifest
    verify_bundle(open_bundle(tmp_path / "bundle"), NoProgress())
    assert saves(engine) == 2


def test_a_wrong_hint_about_a_layer_is_found_out(tmp_path: Path) -> None:
    engine = FakeEngine("20.10")
    pack(pack_request(engine, tmp_path), engine, tmp_path)
    cache = tmp_path / "bundle" / "partial" / "pack.json"
    document = json.loads(cache.read_bytes())
    wrong = "sha256:" + hexdigest(TOP_LAYER)
    document["names"] = dict.fromkeys(document["names"], wrong)
    document["images"] = {}
    cache.write_text(json.dumps(document))
    manifest = pack(pack_request(engine, tmp_path), engine, tmp_path)
    assert [layer.diff_id for layer in manifest.images[0].layers] == [
        "sha256:" + hexdigest(BASE_LAYER),
        wrong,
    ]
    assert saves(engine) == 3


def test_a_model_file_that_changed_is_named_and_nothing_changes(tmp_path: Path) -> None:
    engine = FakeEngine()
    old = packed_bundle(tmp_path, engine)
    tree = local_tree(tmp_path / "other", {"weights.safetensors": b"locked"})
    (tmp_path / "other" / "weights.safetensors").write_bytes(b"edited")
    with pytest.raises(VerificationError, match=r"weights\.safetensors.*\n.*kit lock"):
        pack(pack_request(engine, tmp_path, trees=(tree,)), engine, tmp_path)
    assert open_bundle(tmp_path / "bundle").manifest == old.manifest


def test_editing_a_model_afterwards_does_not_touch_the_bundle(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    with (tmp_path / "model" / "config.json").open("r+b") as file:
        file.write(b"XXXX")
    verify_bundle(source, NoProgress())


def test_packed_model_files_are_not_read_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    request = pack_request(engine, tmp_path)
    manifest = pack(request, engine, tmp_path)
    (tmp_path / "model" / "config.json").unlink()
    assert pack(request, engine, tmp_path) == manifest


def test_files_are_listed_by_path_whatever_the_order(tmp_path: Path) -> None:
    engine = FakeEngine()
    files = {"b": b"1", "a": b"2", "c/d": b"3"}
    request = pack_request(engine, tmp_path, trees=(local_tree(tmp_path / "m", files),))
    assert [file.path for file in pack(request, engine, tmp_path).trees[0].files] == ["a", "b", "c/d"]


def test_a_model_without_files_is_refused(tmp_path: Path) -> None:
    engine = FakeEngine()
    with pytest.raises(ConfigError, match=r"models\.tiny"):
        pack(pack_request(engine, tmp_path, trees=(local_tree(tmp_path / "m", {}),)), engine, tmp_path)


def test_documents_travel_as_blobs(tmp_path: Path) -> None:
    note = LocalDocument("sbom/train.cdx.json", "application/vnd.cyclonedx+json", b"{}\n")
    source = packed_bundle(tmp_path, documents=(note,))
    document = source.manifest.documents[0]  # in place of the bill of materials that kit would write
    assert (document.name, document.media_type) == (note.name, note.media_type)
    assert len(source.manifest.documents) == 2
    assert b"".join(source.read(document.blob.digest)) == note.data


def test_the_bundle_says_when_its_lock_was_made(tmp_path: Path) -> None:
    assert packed_bundle(tmp_path, locked="2026-06-01T00:00:00Z").manifest.locked == "2026-06-01T00:00:00Z"


def test_two_packs_do_not_write_one_folder(tmp_path: Path) -> None:
    engine = FakeEngine()
    request = pack_request(engine, tmp_path)
    (tmp_path / "bundle" / "partial").mkdir(parents=True)
    with (tmp_path / "bundle" / "partial" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another kit bundle"):
            pack(request, engine, tmp_path)


def test_the_manifest_is_the_file(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    assert (tmp_path / "bundle" / "kit.json").read_bytes() == dump_manifest(source.manifest)
