"""Bringing a pinned model or dataset onto this machine, whole and verified, for packing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.known_files import KnownFiles
from kit.bundle.manifest import Blob
from kit.bundle.pack_request import LocalFile, LocalTree
from kit.errors import ConfigError, VerificationError
from kit.hub.fetch_file import Fetch
from kit.hub.fetch_files import bytes_missing, check_room, fetch_files
from kit.hub.hub_cache import HubCache
from kit.hub.listing import check_names, is_commit, is_sound
from kit.hub.local_folder import find_file, find_files
from kit.hub.patience import Patience
from kit.hub.pinned_hub import check_unmoved, make_hub
from kit.hub.port import HubFile, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    the pin is incomplete, UnreachableError or TransferError when the hub does not deliver,
    UnfitError when the disk has no room.
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
    hub = make_hub(origin, mirrors.hub_of(origin) if mirrors else None)
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


def _place(pin: TreePin) -> Place:
    origin, _, repo = pin.source.partition(":")
    place = Place(origin, repo, pin.revision)
    check_names(place)
    return place


def _wanted(pin: TreePin) -> tuple[HubFile, ...]:
    files = tuple(HubFile(file.path, file.size, file.digest) for file in pin.files)
    for file in files:
        if not is_sound(file):
            raise ConfigError(
                f"no size and sha256 of {file.path!r}",
                where=f"kit.lock: {pin.kind} {pin.name}",
                fix="kit lock",
            )
    return files


def check_room_for(pins: Iterable[TreePin], cache_folder: Path) -> None:
    """Raise UnfitError, with the numbers, unless there is room for all that hubs are yet to send."""
    cache = HubCache.open(cache_folder)
    hubs = [pin for pin in pins if not pin.source.startswith("folder:")]
    check_room(cache_folder, sum(bytes_missing(cache, _place(pin), _wanted(pin)) for pin in hubs))


def fetch_from_hub(
    pin: TreePin, cache_folder: Path, hub: HubClient, progress: Progress, patience: Patience | None = None
) -> LocalTree:
    """Return the tree's files, downloaded where they are missing, each checked by size and sha256.

    Raises VerificationError, UnreachableError, ConfigError, TransferError, UnfitError.
    """
    task = f"fetch {pin.kind} {pin.name}"
    place, files = _place(pin), _wanted(pin)
    fetch = Fetch(
        hub,
        place,
        HubCache.open(cache_folder),
        progress.note,
        lambda count: progress.advance(task, count),
        patience or Patience(),
    )
    missing = bytes_missing(fetch.cache, place, files)
    check_room(cache_folder, missing)
    if missing and not is_commit(place.revision):
        check_unmoved(fetch, files)
    progress.start(task, sum(file.size for file in files))
    fetch_files(fetch, files)
    progress.finish(task)
    return _tree(pin, {file.path: fetch.cache.place(file.digest) for file in pin.files})
