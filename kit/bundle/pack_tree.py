"""Copying a model's or dataset's files into the bundle's blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.digest import read_file
from kit.bundle.manifest import File, FileTree
from kit.bundle.oci_layout import tree_form
from kit.bundle.store_file import index_stored, store_file
from kit.errors import ConfigError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.manifest import Blob
    from kit.bundle.pack_request import LocalFile, LocalTree
    from kit.bundle.target import PackedBlobs
    from kit.progress import Progress


def _copied(file: LocalFile, task: str, progress: Progress) -> Iterator[bytes]:
    for chunk in read_file(file.place.resolve()):
        progress.advance(task, len(chunk))
        yield chunk


def _store(file: LocalFile, store: PackedBlobs, task: str, progress: Progress) -> Blob | None:
    # A copy, not a hard link: what is packed must not change when the user edits the file.
    try:
        return store_file(_copied(file, task, progress), file.blob, store)
    except VerificationError as error:
        raise VerificationError(
            f"{file.path} is not the file that was locked",
            where=str(file.place),
            why=error.why,
            fix="put the locked file back, or accept this one with: kit lock",
        ) from error


def _index(file: LocalFile, store: PackedBlobs, indexes: dict[str, Blob]) -> Blob | None:
    """Return the index of a stored file, made again when none is remembered."""
    index = indexes.get(file.blob.digest)
    if index is None or not store.has(index):
        index = index_stored(file.blob, store)
    return _remember(file, index, indexes)


def _remember(file: LocalFile, index: Blob | None, indexes: dict[str, Blob]) -> Blob | None:
    if index is not None:
        indexes[file.blob.digest] = index
    return index


def pack_tree(tree: LocalTree, store: PackedBlobs, indexes: dict[str, Blob], progress: Progress) -> FileTree:
    """Return the packed model or dataset; files already in the store are not read.

    `indexes` holds the index of each file packed before, by the file's digest, and is added to.
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
            _remember(file, _store(file, store, task, progress), indexes)
        progress.finish(task)
    listed = tuple(
        File(file.path, file.blob.digest, file.blob.size, _index(file, store, indexes)) for file in files
    )
    form = tree_form(tree.kind, tree.name, tree.source, listed)
    config, manifest = (store.keep(data) for data in (form.config, form.manifest))
    return FileTree(tree.name, tree.kind, tree.source, config, manifest, listed)
