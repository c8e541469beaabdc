"""Copying a model's or dataset's files into the bundle's blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.digest import read_file
from kit.bundle.manifest import File, FileTree
from kit.bundle.oci_layout import tree_form
from kit.errors import ConfigError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.pack_request import LocalFile, LocalTree
    from kit.bundle.target import PackedBlobs
    from kit.progress import Progress


def _copied(file: LocalFile, task: str, progress: Progress) -> Iterator[bytes]:
    for chunk in read_file(file.place.resolve()):
        progress.advance(task, len(chunk))
        yield chunk


def _store(file: LocalFile, store: PackedBlobs, task: str, progress: Progress) -> None:
    # A copy, not a hard link: what is packed must not change when the user edits the file.
    try:
        store.write(_copied(file, task, progress), file.blob)
    except VerificationError as error:
        raise VerificationError(
            f"{file.path} is not the file that was locked",
            where=str(file.place),
            why=error.why,
            fix="put the locked file back, or accept this one with: kit lock",
        ) from error


def pack_tree(tree: LocalTree, store: PackedBlobs, progress: Progress) -> FileTree:
    """Return the packed model or dataset; files already in the store are not read.

    Raises VerificationError naming the file that is not what its pin says, ConfigError when there
    is none at all, UnfitError and TransferError when a disk fails.
    """
    if not tree.files:
        raise ConfigError("no files to pack", where=f"{tree.kind}s.{tree.name}", fix="kit lock")
    files = sorted(tree.files, key=lambda file: file.path)
    missing = {file.blob.digest: file for file in files if not store.has(file.blob)}
    if missing:
        task = f"pack {tree.kind} {tree.name}"
        progress.start(task, sum(file.blob.size for file in missing.values()))
        for file in missing.values():
            _store(file, store, task, progress)
        progress.finish(task)
    listed = tuple(File(file.path, file.blob.digest, file.blob.size) for file in files)
    form = tree_form(tree.kind, tree.name, tree.source, listed)
    config, manifest = (store.keep(data) for data in (form.config, form.manifest))
    return FileTree(tree.name, tree.kind, tree.source, config, manifest, listed)
