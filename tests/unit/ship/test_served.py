from __future__ import annotations

from pathlib import Path

import pytest

from kit.bundle.manifest import Blob, Image, Layer
from kit.ship.engine.identity import diff_ids, plain_manifest
from kit.ship.engine.served import Store, served_form
from kit.ship.engine.spool import spool_limit
from tests.unit.ship.factories import ship_bundle_source


@pytest.fixture
def image(tmp_path: Path) -> Image:
    found = ship_bundle_source(tmp_path).manifest.image("train")
    assert found is not None
    return found


def image_of(*plain: int) -> Image:
    """An image whose layers have these plain sizes, and a tenth of it packed."""
    layers = tuple(
        Layer(f"sha256:{place:064x}", size // 10, f"sha256:{place + 100:064x}", size)
        for place, size in enumerate(plain)
    )
    return Image("train", Blob("sha256:c", 1), Blob("sha256:m", 1), layers)


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
def test_newer_containerd_stores_get_zstd(containerd: bool, version: str, zstd: bool) -> None:  # noqa: FBT001
    assert Store(containerd, version).gets_zstd(image_of(10, 20, 30)) is zstd
    assert Store(containerd, version).takes_oci_archives is zstd


@pytest.mark.parametrize(("version", "zstd"), [("20.10.24", False), ("26.1.5", True)])
def test_a_classic_store_gets_zstd_where_plain_layers_would_take_too_much_room(
    version: str,
    zstd: bool,  # noqa: FBT001
) -> None:
    assert Store(containerd=False, version=version).gets_zstd(image_of(10, 90)) is zstd


@pytest.mark.parametrize(
    ("sizes", "limit"), [((10, 20, 30), 30), ((20, 20, 20, 20), 40), ((100, 200), 20), ((), 0)]
)
def test_a_classic_store_holds_half_of_an_image_twice_or_its_largest_layer(
    sizes: tuple[int, ...], limit: int
) -> None:
    assert spool_limit(image_of(*sizes), Store(containerd=False, version="26.1")) == limit
    assert spool_limit(image_of(*sizes), Store(containerd=True, version="28.5")) == 0


def test_a_containerd_store_gets_the_bundles_own_manifest_and_blobs(image: Image) -> None:
    served = served_form(image, Store(containerd=True, version="28.5"))
    assert (served.manifest, served.digest) == (None, image.manifest.digest)
    assert set(served.stored) == {blob.digest for blob in image.oci_blobs}
    assert list(served.layers) == [layer.digest for layer in image.layers]
    assert not any(map(served.is_unpacked, served.layers))


def test_a_classic_store_gets_plain_layers_by_their_diff_ids(image: Image) -> None:
    served = served_form(image, Store(containerd=False, version="20.10"))
    assert served.manifest == plain_manifest(image)
    assert set(served.stored) == {image.config.digest}
    assert tuple(served.layers) == diff_ids(image)
    assert all(map(served.is_unpacked, served.layers))
