"""What came from upstream, pulled by digest: it keeps its bytes, and with them its maker's identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def find_upstream(references: Iterable[str], engine: ImageSource, cache: PackCache) -> Upstream:
    """Return the images of these references, `name@sha256:…`, asking the engine for each once.

    Raises EngineError when the engine has none of that name.
    """
    found = []
    for reference in references:
        if reference not in cache.upstream:
            cache.upstream[reference] = _inspect(reference, engine)
        found.append(cache.upstream[reference])
    return Upstream(tuple(found))


def _inspect(reference: str, engine: ImageSource) -> EngineImage:
    try:
        return engine.inspect(reference)
    except EngineError as error:
        raise EngineError(
            "the engine cannot describe an image that was pulled, or that another is built on",
            where=reference,
            why=error.what,
            fix=f"docker pull {reference}",
        ) from error
