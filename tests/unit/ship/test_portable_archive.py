from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from kit.bundle.digest import blob_of
from kit.bundle.manifest import Image
from kit.ship.engine.identity import expected_ids, plain_manifest
from kit.ship.engine.portable_archive import portable_archive_chunks, portable_archive_size
from tests.unit.ship.factories import ship_bundle_source


def archive(folder: Path) -> tuple[Image, bytes, dict[str, bytes]]:
    source = ship_bundle_source(folder)
    image = source.manifest.image("kit")
    assert image is not None
    data = b"".join(portable_archive_chunks(source, image))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    return image, data, members


def test_its_size_is_known_beforehand(tmp_path: Path) -> None:
    image, data, _ = archive(tmp_path)
    assert len(data) == portable_archive_size(image)


def test_every_blob_has_the_digest_in_its_name(tmp_path: Path) -> None:
    _, _, members = archive(tmp_path)
    blobs = {name: data for name, data in members.items() if name.startswith("blobs/")}
    assert len(blobs) == 4  # manifest, config, two layers
    for name, data in blobs.items():
        assert blob_of(data).digest == name.removeprefix("blobs/").replace("/", ":")


def test_a_classic_store_finds_config_and_plain_layers(tmp_path: Path) -> None:
    image, _, members = archive(tmp_path)
    (entry,) = json.loads(members["manifest.json"])
    assert entry["RepoTags"] == [image.identity_tag]
    assert blob_of(members[entry["Config"]]) == image.config
    assert [blob_of(members[name]).digest for name in entry["Layers"]] == [
        layer.diff_id for layer in image.layers
    ]


def test_a_containerd_store_finds_a_manifest_by_which_kit_knows_the_image(tmp_path: Path) -> None:
    image, _, members = archive(tmp_path)
    (entry,) = json.loads(members["index.json"])["manifests"]
    assert entry["digest"] in expected_ids(image)
    assert members["blobs/" + entry["digest"].replace(":", "/")] == plain_manifest(image)
    assert entry["annotations"]["io.containerd.image.name"] == image.identity_tag
    assert json.loads(members["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
