"""Taking images out of the engine into the bundle's blobs, normalised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.compress_layers import store_layer
from kit.bundle.digest import Hasher
from kit.bundle.docker_archive import TakenLayer, read_saved_image
from kit.bundle.manifest import DIGEST, Blob, Image, Layer
from kit.bundle.normalise_config import normalised_config
from kit.bundle.oci_layout import image_manifest
from kit.bundle.pack_cache import PackedConfig, layer_key
from kit.bundle.watch_layer import LayerWatch
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.docker_archive import SavedImage
    from kit.bundle.engine import EngineImage, ImageSource
    from kit.bundle.inventories import Inventories
    from kit.bundle.known_frames import KnownFrames
    from kit.bundle.pack_cache import PackCache
    from kit.bundle.save_ahead import SaveAhead
    from kit.bundle.target import PackedBlobs
    from kit.bundle.upstream import Upstream
    from kit.progress import Progress

_BLOBS = "blobs/sha256/"


@dataclass(slots=True)
class _CachedLayers:
    """A LayerSink that stores layers and remembers them at once, so that a kill loses only one."""

    store: PackedBlobs
    cache: PackCache
    frames: KnownFrames
    upstream: Upstream
    inventories: Inventories
    by_name: bool = True
    """Take a member's name for a layer that stood under it before. A name is a hint, no proof."""
    as_is: bool = False
    """Normalise nothing: an upstream image itself is read."""
    guessed: bool = False
    late: list[str] = field(default_factory=list)
    """Upstream layers that were normalised before their diffID was known."""

    def find(self, name: str, size: int) -> TakenLayer | None:
        diff_id = self.cache.names.get(f"{size} {name}") if self.by_name else None
        taken = self._known(diff_id) if diff_id else None
        self.guessed = self.guessed or taken is not None
        return taken

    def take(self, name: str, size: int, plain: Iterable[bytes]) -> TakenLayer:
        kept = self.as_is or self._looks_kept(name)
        hasher, watch = Hasher(), LayerWatch()
        given = plain if kept else hasher.watch(plain)
        layer = store_layer(given, self.store, self.frames, normalise=not kept, watch=watch)
        self.inventories.keep(layer.diff_id, watch.records())
        taken = self._remember(TakenLayer(layer.diff_id if kept else hasher.digest, layer), kept=kept)
        self.cache.names[f"{size} {name}"] = taken.diff_id
        with writing(self.cache.file):
            self.cache.save()
        return taken

    def _remember(self, taken: TakenLayer, *, kept: bool) -> TakenLayer:
        known = self._known(taken.diff_id)
        if known is not None:
            # Another version of zstd may have compressed it otherwise; what was packed stays.
            return known
        if kept == self.upstream.keeps(taken.diff_id):
            self.cache.layers[layer_key(taken.diff_id, kept=kept)] = taken.layer
        elif not kept:
            self.late.append(taken.diff_id)
        return taken

    def _looks_kept(self, name: str) -> bool:
        """Tell, before a byte is read, whether a layer is upstream's: newer engines name it by its diffID."""
        return name.startswith(_BLOBS) and self.upstream.keeps(f"sha256:{name.removeprefix(_BLOBS)}")

    def _known(self, diff_id: str) -> TakenLayer | None:
        taken = self.cache.taken(diff_id, kept=self.upstream.keeps(diff_id))
        return taken if taken is not None and all(map(self.store.has, taken.layer.blobs)) else None


def _counted(chunks: Iterable[bytes], task: str, progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress.advance(task, len(chunk))
        yield chunk


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image to pack."""

    name: str
    image_id: str
    """As the engine knows it."""
    described: EngineImage | None
    """None for an image packed before."""


@dataclass(frozen=True, slots=True)
class ImagePacker:
    """Packs images from one engine into one store."""

    engine: ImageSource
    ahead: SaveAhead
    store: PackedBlobs
    cache: PackCache
    frames: KnownFrames
    upstream: Upstream
    inventories: Inventories
    progress: Progress

    def begin(self, images: Iterable[tuple[str, str]]) -> list[WantedImage]:
        """Return the images, each given as a name and a reference; those not packed before are asked for.

        The smallest comes first: the engine gives it soonest. Raises EngineError.
        """
        found = (self._look(name, reference) for name, reference in images)
        wanted = sorted(found, key=lambda image: image.described.size if image.described else 0)
        missing = (image.described.image_id for image in wanted if image.described)
        self.ahead.begin(image_id for image_id in missing if self._known(image_id) is None)
        return wanted

    def _look(self, name: str, reference: str) -> WantedImage:
        if DIGEST.match(reference) and self._known(reference):
            return WantedImage(name, reference, None)
        described = self.engine.inspect(reference)
        return WantedImage(name, described.image_id, described)

    def pack(self, wanted: WantedImage) -> Image:
        """Return the packed image. An image packed before is not read from the engine again.

        Raises EngineError, VerificationError, UnfitError, TransferError.
        """
        known = self._known(wanted.image_id)
        if known is None:
            known = self._save(wanted.name, wanted.described or self.engine.inspect(wanted.image_id))
        config, layers = known
        return Image(wanted.name, config, self.store.keep(image_manifest(config, layers)), layers)

    def _key(self, image_id: str) -> str:
        return layer_key(image_id, kept=self.upstream.is_image(image_id))

    def _known(self, image_id: str) -> tuple[Blob, tuple[Layer, ...]] | None:
        found = self.cache.images.get(self._key(image_id))
        known = self.cache.image(self._key(image_id))
        if known is None or found is None or not all(map(self._is_right, found.layers)):
            return None
        config, layers = known
        whole = all(
            self.store.has(blob) for blob in (config, *(blob for layer in layers for blob in layer.blobs))
        )
        return known if whole else None

    def _is_right(self, key: str) -> bool:
        diff_id = key.partition(" ")[2]
        return key == layer_key(diff_id, kept=self.upstream.keeps(diff_id))

    def _save(self, name: str, image: EngineImage) -> tuple[Blob, tuple[Layer, ...]]:
        self.frames.load(self.cache.layers.values())
        task = f"pack image {name}"
        self.progress.start(task, image.size or None)
        saved = self._read(task, image)
        self.progress.finish(task)
        keys = tuple(
            layer_key(taken.diff_id, kept=self.upstream.keeps(taken.diff_id)) for taken in saved.layers
        )
        layers = tuple(self.cache.layers[key] for key in keys)
        config = saved.config
        if not self.upstream.is_image(image.image_id):
            config = normalised_config(config, (layer.diff_id for layer in layers))
        packed = PackedConfig(self.store.keep(config), keys)
        self.cache.images[self._key(image.image_id)] = packed
        with writing(self.cache.file):
            self.cache.save()
        return packed.config, layers

    def _read(self, task: str, image: EngineImage) -> SavedImage:
        sink = self._sink(by_name=True)
        try:
            saved = self._saved(task, image, sink)
        except VerificationError:
            if not sink.guessed:
                raise
            sink = self._sink(by_name=False)
            saved = self._saved(task, image, sink)
        for upstream in self.upstream.with_layers(sink.late):
            # An engine before 25 names layers in a way that says nothing of what they are.
            self._saved(task, upstream, self._sink(as_is=True))
        return saved

    def _sink(self, *, by_name: bool = True, as_is: bool = False) -> _CachedLayers:
        return _CachedLayers(
            self.store, self.cache, self.frames, self.upstream, self.inventories, by_name, as_is
        )

    def _saved(self, task: str, image: EngineImage, sink: _CachedLayers) -> SavedImage:
        return read_saved_image(_counted(self.ahead.save(image.image_id), task, self.progress), image, sink)
