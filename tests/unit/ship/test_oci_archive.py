from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from kit.ship.engine.archive import archive_chunks, archive_size
from kit.ship.engine.oci_archive import oci_archive_chunks, oci_archive_size
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.fake_image_engine import CLASSIC, CONTAINERD


def test_the_archive_is_an_oci_layout_with_the_bundles_manifest(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path)
    image = source.manifest.images[0]
    data = b"".join(oci_archive_chunks(image, source.read))
    assert len(data) == oci_archive_size(image)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (entry,) = json.loads(files.pop("index.json"))["manifests"]
    assert entry["digest"] == image.manifest.digest
    assert entry["annotations"]["io.containerd.image.name"] == image.identity_tag
    assert json.loads(files.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    assert set(files) == {"blobs/" + blob.digest.replace(":", "/") for blob in image.oci_blobs}
    assert all(hashlib.sha256(data).hexdigest() == name[13:] for name, data in files.items())


def test_each_store_gets_the_archive_that_it_loads_rightly(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path)
    image = source.manifest.images[0]
    for store, first in ((CLASSIC, b"manifest.json"), (CONTAINERD, b"oci-layout")):
        data = b"".join(archive_chunks(source, image, store))
        assert data.startswith(first)
        assert len(data) == archive_size(image, store)
