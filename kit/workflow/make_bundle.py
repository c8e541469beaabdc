"""Making a bundle of what kit.lock pins: images built, models and datasets fetched, all of it packed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.copy_bundle import copy_bundle
from kit.bundle.folder_target import FolderTarget
from kit.bundle.inspect import summarize
from kit.bundle.pack import NOBODY, pack_bundle
from kit.bundle.pack_request import LocalTree, PackRequest
from kit.bundle.source import open_bundle
from kit.bundle.tar_target import TarTarget
from kit.bundle.volume_set import find_set
from kit.errors import ConfigError
from kit.hub.fetch_tree import check_room_for
from kit.hub.hub_cache import default_cache
from kit.images.known_locks import remember_lock
from kit.project.lock import dump_lock, load_lock, require_complete
from kit.signature.trust import NOT_SIGNED, NOTHING_DEMANDED
from kit.workflow.bundle_places import bundle_places

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.engine import ImageSource
    from kit.bundle.inspect import PartSummary
    from kit.bundle.pack_listener import PackListener
    from kit.bundle.target import BundleTarget
    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.project.lock import ImageLock, Lock, TreePin
    from kit.project.model import Mirrors
    from kit.signature.trust import Trust, Verdict
    from kit.workflow.bundle_places import BundlePlaces, Wanted
    from kit.workflow.write_starter import WrittenStarter

LOCK = "kit.lock"


@dataclass(frozen=True, slots=True)
class BundleTools:
    """The effects of making a bundle."""

    build: Callable[[ImageLock, str, Mirrors, Progress], str]
    """Returns the ID of an image in the engine."""
    fetch: Callable[[TreePin, Path, Path, Progress, Mirrors], LocalTree]
    engine: ImageSource
    sign: Callable[[bytes], bytes] | None = None
    """Returns kit.json.sig for kit.json; None leaves the bundle unsigned, or as it was signed."""
    trust: Trust = NOTHING_DEMANDED
    """Whose keys this machine knows; nothing is demanded of a bundle made here."""


@dataclass(frozen=True, slots=True)
class Made:
    """The bundle that was made."""

    name: str
    digest: str
    path: str
    """Its folder; the tarball, or the list of its volumes, when one was asked for."""
    bytes: int
    """Of all its blobs, of the tarball, or of all volumes, parity included."""
    parts: tuple[PartSummary, ...]
    signature: Verdict = NOT_SIGNED
    volumes: int = 0
    """Volumes that it was cut into; 0 when it is in one piece."""
    parity_volumes: int = 0


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """What would be made."""

    name: str
    path: str
    images: tuple[str, ...]
    trees: tuple[tuple[str, int, int], ...]
    """(kind and name, files, bytes)"""


def real_tools(sign: Callable[[bytes], bytes] | None = None) -> BundleTools:
    """Return the tools that use the docker engine and the hubs."""
    from kit.bundle.docker_engine import DockerEngine
    from kit.hub.fetch_tree import fetch_tree
    from kit.images.build_image import build_image
    from kit.images.docker_engine import DockerCommand
    from kit.signature.read_trust import read_trust

    def build(lock: ImageLock, stack: str, mirrors: Mirrors, progress: Progress) -> str:
        return build_image(lock.name, stack, lock, mirrors, DockerCommand(), progress).image_id

    return BundleTools(build, fetch_tree, DockerEngine(), sign, read_trust())


def locked(loaded: LoadedProject) -> Lock:
    """Return the lock beside kit.yaml. Raises ConfigError when it is missing, stale or incomplete."""
    path = loaded.folder / LOCK
    lock = load_lock(path)
    require_complete(lock, loaded.project, str(path))
    return lock


def plan_bundle(loaded: LoadedProject, wanted: Wanted) -> BundlePlan:
    """Return what would be made; nothing is built or fetched. Raises ConfigError."""
    lock = locked(loaded)
    places = bundle_places(loaded.folder, wanted)
    return BundlePlan(
        name=loaded.name,
        path=str(places.opened),
        images=tuple(image.name for image in lock.images),
        trees=tuple(
            (f"{tree.kind} {tree.name}", len(tree.files), sum(file.size for file in tree.files))
            for tree in lock.trees
        ),
    )


def make_bundle(
    loaded: LoadedProject,
    wanted: Wanted,
    tools: BundleTools,
    progress: Progress,
    listener: PackListener = NOBODY,
) -> Made:
    """Build, fetch and pack; return what was made. `listener` hears of images as they are packed.

    What is there from an earlier time is used again. Raises ConfigError, VerificationError,
    UnreachableError, TransferError, EngineError or UnfitError.
    """
    lock = locked(loaded)
    remember_lock(loaded.folder / LOCK)
    mirrors = loaded.project.mirrors
    places = bundle_places(loaded.folder, wanted)
    cache = default_cache(loaded.folder)
    check_room_for(lock.trees, cache)
    trees = tuple(tools.fetch(pin, loaded.folder, cache, progress, mirrors) for pin in lock.trees)
    images = tuple((image.name, tools.build(image, lock.stack, mirrors, progress)) for image in lock.images)
    upstream = tuple(dict.fromkeys(_pulled(image, mirrors) for image in lock.images if image.pulled))
    request = PackRequest(
        loaded.name, lock.stack, dump_lock(lock), lock.locked, images, trees, upstream=upstream
    )
    target = _target(places, progress)
    summary = summarize(pack_bundle(request, tools.engine, target, progress, tools.sign, listener))
    if places.folder is not None and places.tarball is not None:
        source = open_bundle(places.folder)
        copy_bundle(source, TarTarget(places.tarball, places.form, progress), progress)
    path = places.opened
    signature = open_bundle(path, tools.trust.look).signature
    size, volumes, parity = _size(path)
    return Made(summary.name, summary.digest, str(path), size, summary.parts, signature, volumes, parity)


def starter_of(made: Made, version: str, progress: Progress) -> WrittenStarter:
    """Write what starts kit on a host without it, beside the bundle. Raises as `write_starter` does."""
    from kit.workflow.write_starter import write_starter

    path = Path(made.path)
    return write_starter(path, open_bundle(path), version, progress)


def _target(places: BundlePlaces, progress: Progress) -> BundleTarget:
    if places.folder is not None:
        return FolderTarget(places.folder)
    if places.tarball is not None:
        return TarTarget(places.tarball, places.form, progress)
    raise ConfigError("nowhere to put the bundle", where="-o", fix="-o bundle")


def _size(path: Path) -> tuple[int, int, int]:
    """Return the bytes that were made, and how many volumes and volumes of parity they are."""
    if path.is_dir():
        return sum(blob.size for blob in open_bundle(path).manifest.blobs), 0, 0
    found = find_set(path)
    if found is None:
        return path.stat().st_size, 0, 0
    listing = found.listing
    size = sum(listing.size_of(share) for share in range(len(listing.shares)))
    return size, len(listing.volumes), len(listing.parity_volumes)


def _pulled(image: ImageLock, mirrors: Mirrors) -> str:
    """Return the name, with its digest, under which the engine pulled an image or what it is built on."""
    from kit.images.base_image import by_digest
    from kit.images.stacks import PulledImage

    return by_digest(PulledImage(image.base, image.base_digest), mirrors.registry)
