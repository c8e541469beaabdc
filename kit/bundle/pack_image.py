"""Taking one image out of the engine into the bundle's blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.compress_layers import store_layer
from kit.bundle.docker_archive import read_saved_image
from kit.bundle.manifest import DIGEST, Blob, Image, Layer
from kit.bundle.oci_layout import image_manifest
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.docker_archive import SavedImage
    from kit.bundle.engine import EngineImage, ImageSource
    from kit.bundle.pack_cache import PackCache
    from kit.bundle.target import PackedBlobs
    from kit.progress import Progress


@dataclass(slots=True)
class _CachedLayers:
    """A LayerSink that stores layers and remembers them at once, so that a kill loses only one."""

    store: PackedBlobs
    cache: PackCache
    by_name: bool
    """Take a member's name for a layer that stood under it before. A name is a hint, no proof."""
    guessed: bool = False

    def find(self, name: str, size: int) -> Layer | None:
        diff_id = self.cache.names.get(f"{size} {name}") if self.by_name else None
        layer = self.cache.layers.get(diff_id or "")
        if layer is None or not all(map(self.store.has, layer.blobs)):
            return None
        self.guessed = True
        return layer

    def take(self, name: str, size: int, plain: Iterable[bytes]) -> Layer:
        layer = store_layer(plain, self.store)
        known = self.cache.layers.get(layer.diff_id)
        if known is not None and all(map(self.store.has, known.blobs)):
            # Another version of zstd may have compressed it otherwise; what was packed stays.
            layer = known
        self.cache.layers[layer.diff_id] = layer
        self.cache.names[f"{size} {name}"] = layer.diff_id
        with writing(self.cache.file):
            self.cache.save()
        return layer


def _counted(chunks: Iterable[bytes], task: str, progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress.advance(task, len(chunk))
        yield chunk


@dataclass(frozen=True, slots=True)
class ImagePacker:
    """Packs images from one engine into one store."""

    engine: ImageSource
    store: PackedBlobs
    cache: PackCache
    progress: Progress

    def pack(self, name: str, reference: str) -> Image:
        """Return the packed image. An image packed before is not read from the engine again.

        Raises EngineError, VerificationError, UnfitError, TransferError.
        """
        known = self._known(reference) if DIGEST.match(reference) else None
        if known is None:
            described = self.engine.inspect(reference)
            known = self._known(described.image_id) or self._save(name, described)
        config, layers = known
        return Image(name, config, self.store.keep(image_manifest(config, layers)), layers)

    def _known(self, image_id: str) -> tuple[Blob, tuple[Layer, ...]] | None:
        known = self.cache.image(image_id)
        if known is None:
            return None
        config, layers = known
        whole = all(
            self.store.has(blob) for blob in (config, *(blob for layer in layers for blob in layer.blobs))
        )
        return known if whole else None

    def _save(self, name: str, image: EngineImage) -> tuple[Blob, tuple[Layer, ...]]:
        task = f"pack image {name}"
        self.progress.start(task, image.size or None)
        saved = self._read(task, image)
        self.progress.finish(task)
        config = self.store.write((saved.config,))
        self.cache.images[image.image_id] = (config, tuple(layer.diff_id for layer in saved.layers))
        with writing(self.cache.file):
            self.cache.save()
        return config, saved.layers

    def _read(self, task: str, image: EngineImage) -> SavedImage:
        sink = _CachedLayers(self.store, self.cache, by_name=True)
        try:
            return read_saved_image(self._bytes(task, image), image, sink)
        except VerificationError:
            if not sink.guessed:
                raise
        return read_saved_image(
            self._bytes(task, image), image, _CachedLayers(self.store, self.cache, by_name=False)
        )

    def _bytes(self, task: str, image: EngineImage) -> Iterator[bytes]:
        return _counted(self.engine.save(image.image_id), task, self.progress)
