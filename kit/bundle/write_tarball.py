"""The tarball form of a bundle, made as a stream: `kit bundle -o NAME.tar`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.tar_form import END, Member, fixed_files, padded, plan_members, tar_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.bundle.source import BundleSource
    from kit.progress import Progress


def _member(name: str, size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield tar_header(name, size)
    yield from chunks
    yield b"\0" * (padded(size) - size)


def _members(source: BundleSource) -> tuple[Member, ...]:
    signature = source.signature_bytes
    return plan_members(
        source.manifest,
        len(source.manifest_bytes),
        len(source.lock_bytes),
        None if signature is None else len(signature),
    )


def tarball_size(source: BundleSource) -> int:
    """Return the bytes that `tarball_chunks` yields."""
    return _members(source)[-1].end + len(END)


def tarball_chunks(source: BundleSource) -> Iterator[bytes]:
    """Yield the tarball. Raises VerificationError when a blob is damaged."""
    fixed = fixed_files(source.manifest, source.manifest_bytes, source.lock_bytes, source.signature_bytes)
    digests = iter(source.manifest.blobs)
    for member in _members(source):
        content = fixed.get(member.name)
        chunks = iter((content,)) if content is not None else source.read(next(digests).digest)
        yield from _member(member.name, member.size, chunks)
    yield END


def write_tarball(source: BundleSource, path: Path, progress: Progress) -> int:
    """Write the tarball, whole or not at all; return its bytes.

    Raises VerificationError when a blob is damaged, UnfitError or TransferError when the disk fails.
    """
    temporary = path.with_name(path.name + ".new")
    task = f"write {path.name}"
    progress.start(task, tarball_size(source))
    try:
        with writing(temporary):
            file = temporary.open("wb")
        with file:
            for chunk in tarball_chunks(source):
                with writing(temporary):
                    file.write(chunk)
                progress.advance(task, len(chunk))
            with writing(temporary):
                file.flush()
                os.fsync(file.fileno())
        with writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    progress.finish(task)
    return tarball_size(source)
