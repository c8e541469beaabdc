from __future__ import annotations

from pathlib import Path

import pytest

from kit.bundle.manifest import Image
from kit.ship.identity import diff_ids, plain_manifest
from kit.ship.served import Store, served_form
from tests.unit.ship.factories import ship_bundle_source


@pytest.fixture
def image(tmp_path: Path) -> Image:
    found = ship_bundle_source(tmp_path).manifest.image("train")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("containerd", "version", "zstd"),
    [
        (False, "20.10.24", False),
        (False, "28.5.2", False),
        (True, "24.0.7", False),
        (True, "25.0.0", True),
        (True, "28.5.2+dfsg4", True),
        (True, "unknown", False),
    ],
)
def test_only_newer_containerd_stores_get_zstd(containerd: bool, version: str, zstd: bool) -> None:  # noqa: FBT001
    assert Store(containerd, version).takes_zstd is zstd


def test_a_containerd_store_gets_the_bundles_own_manifest_and_blobs(image: Image) -> None:
    served = served_form(image, Store(containerd=True, version="28.5"))
    assert (served.manifest, served.digest) == (None, image.manifest.digest)
    assert set(served.stored) == {blob.digest for blob in image.oci_blobs}
    assert served.unpacked == {}


def test_a_classic_store_gets_plain_layers_by_their_diff_ids(image: Image) -> None:
    served = served_form(image, Store(containerd=False, version="20.10"))
    assert served.manifest == plain_manifest(image)
    assert set(served.stored) == {image.config.digest}
    assert tuple(served.unpacked) == diff_ids(image) == served.order
