"""Which layers of an image need not be sent, because the host's engine has them. Pure.

A classic store knows a layer by the diffIDs up to it: the lowest ones may be there, out of any other
image. A pull would ask for their bytes all the same, so the rest is loaded as an archive, which the
engine spools as a whole: that is done only where it is little. A containerd store has the bytes of an
image's layers under their own digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.ship.engine.identity import is_same, shared_layers
from kit.ship.engine.spool import layer_sizes, spool_limit

if TYPE_CHECKING:
    from kit.bundle.manifest import Image, Layer
    from kit.ship.engine.identity import SeenImage
    from kit.ship.engine.served import Store


def spare_layers(
    image: Image, seen: tuple[SeenImage, ...], store: Store, others: tuple[Image, ...] = ()
) -> tuple[Layer, ...]:
    """Return the layers of an image that `load_images` can do without, lowest first.

    `seen` is what the engine has; `others` are images whose layers' digests are known: those of the
    bundle.
    """
    if store.containerd:
        there = [other for other in others if any(_is_complete(other, found) for found in seen)]
        digests = {layer.digest for other in there for layer in other.layers}
        return tuple(layer for layer in image.layers if layer.digest in digests)
    count = shared_layers(image, seen)
    missing = {layer.diff_id for layer in image.layers[count:]}
    sizes = layer_sizes(image, store)
    if sum(sizes[diff_id] for diff_id in missing) > spool_limit(image, store):
        return ()
    return tuple(layer for layer in image.layers[:count] if layer.diff_id not in missing)


def _is_complete(image: Image, found: SeenImage) -> bool:
    return found.id == image.manifest.digest and is_same(image, found)
