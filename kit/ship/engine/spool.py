"""How much of an image an engine may hold twice while it takes it in. Pure.

A classic store writes a layer as it comes into its tmp folder and unpacks it from there when those
below are in; `docker load` does so with all layers at once. A containerd store keeps what comes, and
so holds nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.bundle.manifest import Image
    from kit.ship.engine.served import Store

_SHARE = 2
"""`docker load` holds all of an image twice; no more than this part of it is."""


def layer_sizes(image: Image, store: Store) -> dict[str, int]:
    """Return what each layer takes beside its unpacked form, by diffID, lowest first."""
    zstd = store.gets_zstd(image)
    return {
        layer.diff_id: 0 if store.containerd else layer.size if zstd else layer.plain_size
        for layer in image.layers
    }


def spool_limit(image: Image, store: Store) -> int:
    """Return the most bytes of an image's layers that an engine is made to hold twice.

    Half of them all, and the largest layer where that is more: none can be held in part.
    """
    sizes = layer_sizes(image, store).values()
    return max((*sizes, sum(sizes) // _SHARE))
