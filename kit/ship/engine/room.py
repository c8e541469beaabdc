"""What room an engine needs to take images in, at the worst moment. Pure.

Measured on engines 20.10, 26.1 and 28.5: what stays is the unpacked files, 1-2% more than their tar,
and in a containerd store what was served. A classic store holds a served layer until it is unpacked, a
few at a time when it pulls, and all layers of an archive until the last one is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.ship.engine.identity import shared_layers
from kit.ship.engine.spool import layer_sizes, spool_limit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kit.bundle.manifest import Image
    from kit.ship.engine.identity import SeenImage
    from kit.ship.engine.served import Store

_ROUNDING = 1.02
"""Files fill whole blocks of a disk."""


def _stays(image: Image, seen: tuple[SeenImage, ...], store: Store) -> int:
    new = {layer.diff_id: layer for layer in image.layers[shared_layers(image, seen) :]}.values()
    unpacked = int(sum(layer.plain_size for layer in new) * _ROUNDING)
    if not store.containerd:
        return unpacked
    zstd = store.gets_zstd(image)
    return unpacked + sum(layer.size if zstd else layer.plain_size for layer in new)


def _twice(image: Image, seen: tuple[SeenImage, ...], store: Store, left_out: Collection[str]) -> int:
    """Return what is held beside what stays, at the worst moment."""
    there = shared_layers(image, seen)
    if not image.layers[there:]:
        return 0
    sizes = layer_sizes(image, store)
    if any(layer.digest in left_out for layer in image.layers):
        rest = {layer.diff_id for layer in image.layers if layer.digest not in left_out}
        return sum(sizes[diff_id] for diff_id in rest)
    limit, served, yet_to_unpack, worst = spool_limit(image, store), 0, 0, 0
    # From the top: each layer when it has just been unpacked, with those above as far as they may have come.
    for place in reversed(range(len(image.layers))):
        layer = image.layers[place]
        own = sizes.pop(layer.diff_id, 0)
        served += own
        worst = max(worst, max(own, min(limit, served)) - yet_to_unpack)
        yet_to_unpack += layer.plain_size if own and place >= there else 0
    return worst


def archive_room(image: Image, seen: tuple[SeenImage, ...], store: Store) -> tuple[int, int]:
    """Return (bytes that stay, bytes beside them meanwhile) for an image that `docker load` takes in."""
    stays = _stays(image, seen, store)
    sizes = (layer.size if store.takes_zstd else layer.plain_size for layer in image.layers)
    return stays, 0 if store.containerd or not stays else sum(sizes)


def engine_room(
    images: Iterable[Image], seen: tuple[SeenImage, ...], store: Store, left_out: Collection[str]
) -> tuple[int, int]:
    """Return (bytes that stay, bytes beside them at the worst moment) for images pulled one after the other.

    `left_out` are digests of layers that the engine has and that do not come.
    """
    stays, twice = 0, 0
    for image in images:
        stays += _stays(image, seen, store)
        twice = max(twice, _twice(image, seen, store, left_out))
    return stays, twice
