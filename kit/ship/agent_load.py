"""Giving the engine the images that it lacks, and making sure that they are the right ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.bundle.digest import read_file
from kit.errors import EngineError, VerificationError
from kit.ship.identity import diff_ids, expected_ids, is_same
from kit.ship.layer_gate import LayerGate, OpenGate
from kit.ship.layer_look import LayerLook
from kit.ship.loopback_registry import Registry, serving
from kit.ship.oci_archive import oci_archive_chunks
from kit.ship.served import served_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.blob_store import BlobStore
    from kit.bundle.manifest import Image
    from kit.ship.engine_port import ImageEngine
    from kit.ship.identity import SeenImage
    from kit.ship.served import Store

    Emit = Callable[[dict[str, Any]], None]

_DONE = ("Pull complete", "Already exists")


def load_images(
    engine: ImageEngine, store: Store, blobs: BlobStore, images: tuple[Image, ...], emit: Emit
) -> tuple[str, ...]:
    """Make every image stand in the engine under its identity tag; return the tags that were set.

    An image that bears the tag already is compared first, and pulled anew when it is another one.
    Raises EngineError, and VerificationError when what the engine has at the end is not the image.
    """
    fresh = []
    for image in images:
        found = engine.inspect(image.identity_tag)
        if found is None or not is_same(image, found):
            emit({"event": "loading", "image": image.identity_tag})
            _load(engine, blobs, image, store)
            fresh.append(image.identity_tag)
    return tuple(fresh)


def _load(engine: ImageEngine, blobs: BlobStore, image: Image, store: Store) -> None:
    served = served_form(image, store)
    gate = OpenGate() if store.containerd else LayerGate(served.order)
    look = LayerLook(image.layers, blobs.path, image.identity_tag)

    def admit(digest: str) -> None:
        gate.wait(digest)
        look.admit(digest)

    with serving(Registry(image.name, served, blobs.path, admit)) as reference:
        try:
            for status in engine.pull(reference):
                if status.text in _DONE:
                    gate.finished(status.layer)
        except EngineError as error:
            raise look.refused or error from error
        try:
            found = engine.inspect(reference)
            if store.containerd and found is not None and not found.layers:
                # It had the layers unpacked from another form of them, and left these bytes out.
                for layer in image.layers:
                    look.admit(layer.digest)
                engine.load(oci_archive_chunks(image, lambda digest: read_file(blobs.path(digest))))
                found = engine.inspect(reference)
            # Compared before it gets the name that jobs trust.
            _require_same(image, found)
            engine.tag(reference, image.identity_tag)
        finally:
            engine.remove(reference)
    _require_same(image, engine.inspect(image.identity_tag))


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
