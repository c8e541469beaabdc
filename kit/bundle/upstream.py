"""What came from upstream, pulled by digest: it keeps its bytes, and with them its maker's identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kit.bundle.engine import EngineImage, ImageSource
    from kit.bundle.pack_cache import PackCache


@dataclass(frozen=True, slots=True)
class Upstream:
    """Images that are not to be changed, and their layers in whatever image they occur."""

    images: tuple[EngineImage, ...] = ()

    def keeps(self, diff_id: str) -> bool:
        """Tell whether a layer stays as it is."""
        return any(diff_id in image.diff_ids for image in self.images)

    def is_image(self, image_id: str) -> bool:
        """Tell whether an image, its config with it, stays as it is."""
        return any(image_id == image.image_id for image in self.images)

    def with_layers(self, diff_ids: Iterable[str]) -> tuple[EngineImage, ...]:
        """Return the images that have any of these layers."""
        wanted = set(diff_ids)
        return tuple(image for image in self.images if wanted.intersection(image.diff_ids))


def find_upstream(references: Collection[str], engine: ImageSource, cache: PackCache) -> Upstream:
    """Return the images of these references, `name@sha256:…`; what the engine has no more is remembered.

    The engine is asked each time: an image has another ID in another engine, or another store of it.
    Raises EngineError when nothing tells what an image is.
    """
    for reference in references:
        cache.upstream[reference] = _look(reference, engine, cache.upstream.get(reference))
    return Upstream(tuple(cache.upstream[reference] for reference in references))


def _look(reference: str, engine: ImageSource, remembered: EngineImage | None) -> EngineImage:
    try:
        return engine.inspect(reference)
    except EngineError as error:
        if remembered is None:
            raise EngineError(
                "the engine cannot describe an image that was pulled, or that another is built on",
                where=reference,
                why=error.what,
                fix=f"docker pull {reference}",
            ) from error
        return remembered
