from __future__ import annotations

import pytest

from kit.bundle.manifest import Blob, Image, Layer
from kit.ship.engine.identity import SeenImage, diff_ids
from kit.ship.engine.room import archive_room, engine_room
from kit.ship.engine.served import Store

OLD = Store(containerd=False, version="20.10.24")
MID = Store(containerd=False, version="26.1.5")
NEW = Store(containerd=True, version="28.5.2")


def image_of(*plain: int) -> Image:
    """An image whose layers have these plain sizes, and a quarter of it packed."""
    layers = tuple(
        Layer(f"sha256:z{place}", size // 4, f"sha256:p{place}", size) for place, size in enumerate(plain)
    )
    return Image("train", Blob("sha256:c", 1), Blob("sha256:m", 1), layers)


def seen(image: Image, layers: int) -> tuple[SeenImage, ...]:
    return (SeenImage("sha256:other", (), diff_ids(image)[:layers]),)


@pytest.mark.parametrize(
    ("plain", "twice"),
    [
        ((400,), 400),
        # When one is unpacked, those above are not: they take at most what they will.
        ((400, 400, 400, 400), 400),
        ((1000, 400, 400), 400),
        ((100, 100, 1000), 1000),
        ((), 0),
    ],
)
def test_a_classic_store_holds_what_was_just_unpacked_twice(plain: tuple[int, ...], twice: int) -> None:
    assert engine_room((image_of(*plain),), (), OLD, ()) == (int(sum(plain) * 1.02), twice)


def test_one_that_takes_zstd_holds_less_where_one_layer_is_most_of_the_image() -> None:
    assert engine_room((image_of(100, 1000),), (), MID, ()) == (1122, 250)


def test_a_containerd_store_keeps_what_was_served_and_holds_nothing_twice() -> None:
    assert engine_room((image_of(400, 800),), (), NEW, ()) == (1224 + 300, 0)


def test_what_the_engine_has_takes_no_room() -> None:
    image = image_of(400, 400, 800)
    assert engine_room((image,), seen(image, 2), OLD, ()) == (816, 800)
    assert engine_room((image,), seen(image, 3), OLD, ()) == (0, 0)
    assert archive_room(image, seen(image, 3), OLD) == (0, 0)


def test_an_archive_is_held_whole() -> None:
    image = image_of(400, 300, 300, 300)
    assert engine_room((image,), seen(image, 2), OLD, {"sha256:z0", "sha256:z1"}) == (612, 600)
    assert archive_room(image, (), OLD) == (1326, 1300)
    assert archive_room(image, (), MID) == (1326, 325)
    assert archive_room(image, (), NEW) == (1326 + 325, 0)


def test_images_come_one_after_the_other() -> None:
    one, other = image_of(400), Image("other", Blob("c", 1), Blob("m", 1), (Layer("z", 1, "p", 100),))
    assert engine_room((one, other), (), OLD, ()) == (408 + 102, 400)
