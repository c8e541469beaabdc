"""Bringing a pinned model or dataset onto this machine, whole and verified, for packing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.known_files import KnownFiles
from kit.bundle.manifest import Blob
from kit.bundle.pack_request import LocalFile, LocalTree
from kit.errors import ConfigError, VerificationError
from kit.hub.hub_cache import make_hub, open_cache
from kit.hub.local_folder import find_file, find_files
from kit.hub.port import HubFile

if TYPE_CHECKING:
    from kit.hub.port import HubClient
    from kit.progress import Progress
    from kit.project.lock import PinnedFile, TreePin
    from kit.project.model import Mirrors


def fetch_tree(
    pin: TreePin, folder: Path, cache_folder: Path, progress: Progress, mirrors: Mirrors | None = None
) -> LocalTree:
    """Return the tree's files on this machine; `folder` is kit.yaml's.

    A local folder is read where it stands, a hub's files come into `cache_folder`. Raises
    VerificationError naming a file that is not what was locked, ConfigError when one is gone or
    the pin is incomplete, UnreachableError when the hub does not answer.
    """
    if pin.pending or not pin.files:
        raise ConfigError(
            "not resolved yet: " + "; ".join(pin.pending or ("no files",)),
            where=f"{pin.kind} {pin.name}",
            fix="kit lock, on a machine with a network",
        )
    origin = pin.source.partition(":")[0]
    if origin == "folder":
        return _local_tree(pin, folder, cache_folder)
    hub = make_hub(origin, mirrors.hub if mirrors else None)
    return fetch_from_hub(pin, cache_folder, hub, progress)


def _tree(pin: TreePin, places: dict[str, Path]) -> LocalTree:
    files = (LocalFile(file.path, places[file.path], Blob(file.digest, file.size)) for file in pin.files)
    source = f"{pin.source}@{pin.revision}" if pin.revision else pin.source
    return LocalTree(pin.kind, pin.name, source, tuple(files))


def _local_tree(pin: TreePin, folder: Path, cache_folder: Path) -> LocalTree:
    root = folder / Path(pin.source.partition(":")[2]).expanduser()
    where = f"{pin.kind}s.{pin.name}.path"
    places = {root.name: find_file(root, where)} if pin.kind == "dataset" else find_files(root, where)
    known = KnownFiles.load(cache_folder / "verified.jsonl")
    for file in pin.files:
        if file.path not in places:
            raise VerificationError(
                f"{file.path} was locked and is gone", where=str(root), fix="put it back, or: kit lock"
            )
        _check_local(file, places[file.path], known)
    return _tree(pin, places)


def _check_local(file: PinnedFile, place: Path, known: KnownFiles) -> None:
    blob = known.blob_of(place)
    if blob != Blob(file.digest, file.size):
        raise VerificationError(
            f"{file.path} changed since it was locked",
            where=str(place),
            why=f"{blob.size} bytes with {blob.digest}, {file.size} with {file.digest} locked",
            fix="put the locked file back, or accept this one with: kit lock",
        )


def fetch_from_hub(pin: TreePin, cache_folder: Path, hub: HubClient, progress: Progress) -> LocalTree:
    """Return the tree's files, downloaded where they are missing, each checked by size and sha256.

    Raises VerificationError, UnreachableError, ConfigError, TransferError.
    """
    origin, _, repo = pin.source.partition(":")
    place = open_cache(hub, origin, repo, pin.revision, cache_folder)
    task = f"fetch {pin.kind} {pin.name}"
    progress.start(task, sum(file.size for file in pin.files))
    for file in pin.files:
        place.fetch(HubFile(file.path, file.size, file.digest))
        progress.advance(task, file.size)
    progress.finish(task)
    return _tree(pin, {file.path: place.place(file.path) for file in pin.files})
