"""Hashing every blob of a bundle, whole and frame by frame, and holding what they say against kit.json."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.check_frames import check_frames, check_layer_deep, frames_of
from kit.bundle.oci_layout import check_image_config
from kit.bundle.source import trusted_manifest
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kit.bundle.manifest import Blob, File, Layer, Manifest
    from kit.bundle.source import BundleSource
    from kit.bundle.verify_volumes import VolumesReport
    from kit.progress import Progress

_LANES = 2
"""Blobs read at a time; each is hashed on two threads, as a whole and by its frames."""
_TASK = "verify"
_DEEP = "verify deep"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """A bundle that was found whole."""

    blobs: int
    size: int
    """Bytes hashed."""
    frames: int = 0
    """Frames and pieces that agree with their indexes."""
    deep_layers: int | None = None
    """Layers decompressed and hashed as well, frame by frame and as a whole; None when not asked for."""
    deep_size: int | None = None
    """Their plain bytes."""
    volumes: VolumesReport | None = None
    """When the bundle is cut into volumes."""


def _owners(manifest: Manifest, digest: str) -> str:
    parts = [part for part in manifest.parts if any(blob.digest == digest for blob in part.blobs)]
    found = [f"{getattr(part, 'kind', 'image')} {part.name}" for part in parts]
    found += [f"document {item.name}" for item in manifest.documents if item.blob.digest == digest]
    return ", ".join(found)


def _indexed(manifest: Manifest) -> dict[str, Layer | File]:
    """Return layers and files that have an index, by their blob's digest."""
    found: list[Layer | File] = [file for tree in manifest.trees for file in tree.files]
    found += [layer for image in manifest.images for layer in image.layers]
    return {item.digest: item for item in found if item.index is not None}


def _problem(manifest: Manifest, digest: str, check: Callable[[], int]) -> tuple[str, int]:
    """Return what is wrong, if anything, and the number of frames that were checked."""
    try:
        return "", check()
    except VerificationError as error:
        return f"{_owners(manifest, digest)}: {error.what} ({error.why})", 0


def _check(source: BundleSource, blob: Blob, item: Layer | File | None, progress: Progress) -> int:
    """Hash one blob; return its frames. Raises VerificationError."""
    if item is not None:
        return check_frames(source, blob, frames_of(source, item), lambda size: progress.advance(_TASK, size))
    for chunk in source.read(blob.digest):
        progress.advance(_TASK, len(chunk))
    return 0


def _raise(problems: Sequence[str], what: str, source: BundleSource) -> None:
    problems = [text for text in problems if text]
    if problems:
        raise VerificationError(
            f"{len(problems)} of {what} are damaged: " + "; ".join(problems[:_SHOWN]),
            where=source.where,
            fix="fetch the bundle again, or run kit bundle where it was made",
        )


def verify_bundle(source: BundleSource, progress: Progress, *, deep: bool = False) -> VerifyReport:
    """Return what was hashed, once all of the bundle agrees.

    Every blob has its sha256, every frame those of its index, every index the sizes of its blob,
    every image's config its layers; with `deep`, every layer decompresses to its diffID as well, frame
    by frame. Raises VerificationError naming the parts that are damaged, TransferError when reading
    fails.
    """
    manifest = trusted_manifest(source.manifest_bytes)
    # The largest first, so that the lanes end together.
    blobs = sorted(manifest.blobs, key=lambda blob: -blob.size)
    indexed = _indexed(manifest)
    size = sum(blob.size for blob in blobs)
    progress.start(_TASK, size)
    with ThreadPoolExecutor(_LANES) as lanes:
        found = list(
            lanes.map(
                lambda blob: _problem(
                    manifest,
                    blob.digest,
                    lambda: _check(source, blob, indexed.get(blob.digest), progress),
                ),
                blobs,
            )
        )
    progress.finish(_TASK)
    _raise([text for text, _ in found], f"{len(blobs)} blobs", source)
    for image in manifest.images:
        check_image_config(image, b"".join(source.read(image.config.digest)))
    frames = sum(count for _, count in found)
    if not deep:
        return VerifyReport(len(blobs), size, frames)
    layers = _verify_deep(source, progress)
    return VerifyReport(len(blobs), size, frames, len(layers), sum(layer.plain_size for layer in layers))


def _verify_deep(source: BundleSource, progress: Progress) -> tuple[Layer, ...]:
    manifest = source.manifest
    layers = {layer.digest: layer for image in manifest.images for layer in image.layers}
    progress.start(_DEEP, sum(layer.plain_size for layer in layers.values()))

    def check(layer: Layer) -> tuple[str, int]:
        return _problem(
            manifest,
            layer.digest,
            lambda: check_layer_deep(source, layer, lambda size: progress.advance(_DEEP, size)),
        )

    with ThreadPoolExecutor(_LANES) as lanes:
        found = list(lanes.map(check, sorted(layers.values(), key=lambda layer: -layer.plain_size)))
    progress.finish(_DEEP)
    _raise([text for text, _ in found], f"{len(layers)} layers", source)
    return tuple(layers.values())
