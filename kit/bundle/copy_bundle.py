"""A bundle in another form: what stands in one place, copied into a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.source import BundleSource
    from kit.bundle.target import BundleTarget
    from kit.progress import Progress

_TASK = "copy blobs"


def copy_bundle(source: BundleSource, target: BundleTarget, progress: Progress) -> None:
    """Make the target the same bundle, its signature included; each blob is verified on the way.

    Raises VerificationError when one is damaged, UnfitError or TransferError when the disk fails.
    """
    with target.opened():
        missing = [blob for blob in source.manifest.blobs if not target.has(blob)]
        progress.start(_TASK, sum(blob.size for blob in missing))
        for blob in missing:
            target.write(_counted(source.read(blob.digest), progress), blob)
        progress.finish(_TASK)
        target.publish(source.manifest, source.lock_bytes, source.signature_bytes)


def _counted(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress.advance(_TASK, len(chunk))
        yield chunk
