"""Hashing every blob of a bundle, and holding what the blobs say against kit.json."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.oci_layout import check_image_config
from kit.bundle.source import trusted_manifest
from kit.errors import VerificationError

if TYPE_CHECKING:
    from kit.bundle.manifest import Blob, Manifest
    from kit.bundle.source import BundleSource
    from kit.progress import Progress

_THREADS = 2
_TASK = "verify"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """A bundle that was found whole."""

    blobs: int
    size: int
    """Bytes hashed."""


def _owners(manifest: Manifest, digest: str) -> str:
    parts = [part for part in manifest.parts if any(blob.digest == digest for blob in part.blobs)]
    return ", ".join(f"{getattr(part, 'kind', 'image')} {part.name}" for part in parts)


def _check(source: BundleSource, blob: Blob, progress: Progress) -> str | None:
    try:
        for chunk in source.read(blob.digest):
            progress.advance(_TASK, len(chunk))
    except VerificationError as error:
        return f"{_owners(source.manifest, blob.digest)}: {error.what} ({error.why})"
    return None


def _damaged(source: BundleSource, progress: Progress) -> list[str]:
    # The largest first, so that the threads end together.
    blobs = sorted(source.manifest.blobs, key=lambda blob: -blob.size)
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(lambda blob: _check(source, blob, progress), blobs))
    return [text for text in found if text]


def verify_bundle(source: BundleSource, progress: Progress) -> VerifyReport:
    """Return what was hashed, once every blob has its sha256 and every image's config its layers.

    Raises VerificationError naming the parts that are damaged, TransferError when reading fails.
    """
    blobs = source.manifest.blobs
    size = sum(blob.size for blob in blobs)
    progress.start(_TASK, size)
    problems = _damaged(source, progress)
    progress.finish(_TASK)
    if problems:
        raise VerificationError(
            f"{len(problems)} of {len(blobs)} blobs are damaged: " + "; ".join(problems[:_SHOWN]),
            where=source.where,
            fix="fetch the bundle again, or run kit bundle where it was made",
        )
    trusted_manifest(source.manifest_bytes)
    for image in source.manifest.images:
        check_image_config(image, b"".join(source.read(image.config.digest)))
    return VerifyReport(len(blobs), size)
