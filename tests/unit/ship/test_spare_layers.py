from __future__ import annotations

from kit.bundle.manifest import Blob, Image, Layer
from kit.ship.engine.identity import SeenImage, diff_ids
from kit.ship.engine.served import Store
from kit.ship.engine.spare_layers import spare_layers

OLD = Store(containerd=False, version="20.10.24")
MID = Store(containerd=False, version="26.1.5")
NEW = Store(containerd=True, version="28.5.2")


def layer(name: str, plain: int = 100) -> Layer:
    return Layer(f"sha256:z{name}", plain // 4, f"sha256:{name}", plain)


def image_of(name: str, *layers: Layer) -> Image:
    return Image(name, Blob(f"sha256:c-{name}", 1), Blob(f"sha256:m-{name}", 1), layers)


def seen(image: Image, store: Store = OLD) -> SeenImage:
    return SeenImage((image.manifest if store.containerd else image.config).digest, (), diff_ids(image))


A, B, C, D = map(layer, "abcd")
TRAIN = image_of("train", A, B, C, D)


def test_a_classic_store_spares_the_lowest_layers_of_any_image_that_it_has() -> None:
    other = image_of("other", A, B, layer("x"))
    assert spare_layers(TRAIN, (seen(other),), OLD) == (A, B)
    assert spare_layers(TRAIN, (seen(other),), MID) == (A, B)


def test_layers_in_another_order_or_above_another_are_not_the_same() -> None:
    for other in (image_of("other", B, A), image_of("other", layer("x"), A, B), image_of("other")):
        assert spare_layers(TRAIN, (seen(other),), OLD) == ()
    assert spare_layers(TRAIN, (), OLD) == ()


def test_where_the_rest_would_take_too_much_room_at_once_all_is_pulled() -> None:
    assert spare_layers(TRAIN, (seen(image_of("other", A)),), OLD) == ()
    wide = image_of("train", A, layer("w", 5000))
    assert spare_layers(wide, (seen(image_of("other", A)),), OLD) == (A,)


def test_a_layer_that_stands_above_as_well_is_sent() -> None:
    twice = image_of("train", A, B, C, D, A)
    assert spare_layers(twice, (seen(image_of("other", A, B, C)),), OLD) == (B, C)


def test_a_containerd_store_spares_the_layers_of_the_bundles_images_that_it_has_whole() -> None:
    kit = image_of("kit", D, B)
    assert spare_layers(TRAIN, (seen(kit, NEW),), NEW, (kit, TRAIN)) == (B, D)


def test_a_containerd_store_that_unpacked_them_from_another_form_spares_none() -> None:
    kit = image_of("kit", A, B)
    for found in (SeenImage("sha256:other", (), diff_ids(kit)), SeenImage(kit.manifest.digest, (), ())):
        assert spare_layers(TRAIN, (found,), NEW, (kit,)) == ()
    assert spare_layers(TRAIN, (seen(kit, NEW),), NEW) == ()
