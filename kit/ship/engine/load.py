"""Giving the engine the images that it lacks, and making sure that they are the right ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.bundle.digest import read_file
from kit.bundle.docker_load import load_archive
from kit.errors import EngineError, VerificationError
from kit.ship.engine.identity import diff_ids, expected_ids, is_same
from kit.ship.engine.layer_gate import LayerGate
from kit.ship.engine.layer_supply import Coming, LayerSupply
from kit.ship.engine.loopback_registry import Registry, is_pull_name, serving
from kit.ship.engine.oci_archive import oci_archive_chunks
from kit.ship.engine.served import served_form
from kit.ship.engine.spool import layer_sizes, spool_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.blob_store import BlobStore
    from kit.bundle.manifest import Image, Layer
    from kit.ship.engine.identity import SeenImage
    from kit.ship.engine.port import ImageEngine
    from kit.ship.engine.served import Store

    Emit = Callable[[dict[str, Any]], None]

_DONE = ("Pull complete", "Already exists")
_NOTHING_AWAITED = Coming()


def load_images(
    engine: ImageEngine,
    store: Store,
    blobs: BlobStore,
    images: tuple[Image, ...],
    emit: Emit,
    coming: Coming = _NOTHING_AWAITED,
) -> tuple[str, ...]:
    """Make every image stand in the engine under its identity tag; return the tags that were set.

    An image that bears the tag already is compared first, and pulled anew when it is another one.
    It may begin before the blobs are here: each is awaited. Raises EngineError, VerificationError
    when what the engine has at the end is not the image, and what ended the waiting.
    """
    fresh = []
    for image in images:
        found = engine.inspect(image.identity_tag)
        if found is None or not is_same(image, found):
            emit({"event": "loading", "image": image.identity_tag})
            _Load(engine, store, blobs, image, coming).carry_out()
            emit({"event": "loaded", "image": image.identity_tag})
            fresh.append(image.identity_tag)
        _forget_pulls(engine, image)
    return tuple(fresh)


def _forget_pulls(engine: ImageEngine, image: Image) -> None:
    """Take away the names that pulls left which were cut off before they could do so themselves."""
    found = engine.inspect(image.identity_tag)
    for name in filter(is_pull_name, found.references if found else ()):
        engine.remove(name)


class _Load:
    """One image on its way into an engine."""

    def __init__(
        self, engine: ImageEngine, store: Store, blobs: BlobStore, image: Image, coming: Coming
    ) -> None:
        self._engine = engine
        self._containerd = store.containerd
        self._blobs = blobs
        self._image = image
        self._coming = coming
        self._served = served_form(image, store)
        self._by_archive = not store.containerd and any(
            layer.digest in coming.left_out for layer in image.layers
        )
        sizes = layer_sizes(image, store)
        held = {} if self._by_archive else self._served.layers
        spooled = {digest: sizes[layer.diff_id] for digest, layer in held.items()}
        self._gate = LayerGate(spooled, spool_limit(image, store))
        self._supply = LayerSupply(image, self._served, blobs.path, self._gate, coming)

    def carry_out(self) -> None:
        if self._by_archive:
            self._load_the_rest()
        else:
            self._pull()
        _require_same(self._image, self._engine.inspect(self._image.identity_tag))

    def _pull(self) -> None:
        image, engine = self._image, self._engine
        # An engine that asks for a manifest expects an answer soon; of layers it is patient.
        for digest in (image.config.digest, image.manifest.digest):
            self._supply.admit(digest)
        with serving(Registry(image.name, self._supply)) as reference:
            self._watch(reference)
            try:
                found = engine.inspect(reference)
                if self._containerd and found is not None and not found.layers:
                    # It had the layers unpacked from another form of them, and left these bytes out.
                    engine.load(oci_archive_chunks(image, self._released))
                    found = engine.inspect(reference)
                # Also of layers that the engine did not ask for: with the name goes that all of it is here.
                for layer in image.layers:
                    self._supply.wait(layer.digest)
                # Compared before it gets the name that jobs trust.
                _require_same(image, found)
                engine.tag(reference, image.identity_tag)
            finally:
                engine.remove(reference)

    def _watch(self, reference: str) -> None:
        try:
            for status in self._engine.pull(reference):
                if status.text in _DONE:
                    self._gate.finished(status.layer)
        except EngineError as error:
            raise self._supply.stopped or self._blamed(error) from error
        finally:
            self._gate.end()

    def _blamed(self, error: EngineError) -> EngineError:
        """Return what an engine said, unless it was right to refuse what it got."""
        self._supply.blame()
        return error

    def _released(self, digest: str) -> Iterator[bytes]:
        """Yield a blob as it is stored, once it may be unpacked if it is a layer."""
        self._supply.admit(digest)
        self._supply.release(digest)
        yield from read_file(self._blobs.path(digest))

    def _load_the_rest(self) -> None:
        """Load an archive without the layers that the engine has; it names nothing, so it can be compared."""
        image, rest = self._image, self._rest()
        for digest in (image.config.digest, *rest):
            self._supply.admit(digest)
        config = read_file(self._blobs.path(image.config.digest))
        self._engine.load(load_archive(image, (), config, map(self._member, rest)))
        _require_same(image, self._engine.inspect(image.config.digest))
        self._engine.tag(image.config.digest, image.identity_tag)

    def _rest(self) -> tuple[str, ...]:
        layers = self._served.layers.items()
        return tuple(digest for digest, layer in layers if layer.digest not in self._coming.left_out)

    def _member(self, digest: str) -> tuple[Layer, int, Iterable[bytes]]:
        layer = self._served.layers[digest]
        if self._served.is_unpacked(digest):
            return layer, layer.plain_size, self._supply.plain(layer)
        return layer, layer.size, self._released(digest)


def _require_same(image: Image, found: SeenImage | None) -> None:
    if found is None:
        raise EngineError(
            "the engine lost the image that it just pulled",
            where=image.identity_tag,
            fix="run kit ship again",
        )
    if is_same(image, found):
        return
    if found.layers != diff_ids(image):
        why = f"its layers are {', '.join(found.layers)}"
    else:
        why = f"its ID is {found.id}, not one of {', '.join(sorted(expected_ids(image)))}"
    raise VerificationError(
        "the engine has another image than the bundle's",
        where=image.identity_tag,
        why=why,
        fix=f"docker rmi {image.identity_tag} there, then kit ship again",
    )
