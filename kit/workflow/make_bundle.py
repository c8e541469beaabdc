"""Making a bundle of what kit.lock pins: images built, models and datasets fetched, all of it packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.folder_target import FolderTarget
from kit.bundle.inspect import summarize
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalTree, PackRequest
from kit.bundle.source import open_bundle
from kit.bundle.write_tarball import write_tarball
from kit.errors import ConfigError
from kit.hub.fetch_tree import check_room_for
from kit.hub.hub_cache import default_cache
from kit.project.lock import dump_lock, load_lock, require_complete
from kit.signature.trust import NOT_SIGNED, NOTHING_DEMANDED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.engine import ImageSource
    from kit.bundle.inspect import PartSummary
    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.project.lock import ImageLock, Lock, TreePin
    from kit.project.model import Mirrors
    from kit.signature.trust import Trust, Verdict

LOCK = "kit.lock"
BUNDLE = "bundle"
"""Name of the bundle's folder beside kit.yaml, unless told otherwise."""
TARBALL = ".tar"


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
    """Its folder, or the tarball when one was asked for."""
    bytes: int
    """Of all its blobs, or of the tarball."""
    parts: tuple[PartSummary, ...]
    signature: Verdict = NOT_SIGNED


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


def bundle_folder(loaded: LoadedProject, out: Path | None) -> Path:
    """Return the folder that a bundle grows in; a tarball is written beside it afterwards."""
    if out is None or out.suffix == TARBALL:
        return loaded.folder / BUNDLE
    if out.exists() and not out.is_dir():
        raise ConfigError(
            "a file stands there", where=str(out), fix=f"a folder, or a name ending in {TARBALL}"
        )
    return out


def plan_bundle(loaded: LoadedProject, out: Path | None) -> BundlePlan:
    """Return what would be made; nothing is built or fetched. Raises ConfigError."""
    lock = locked(loaded)
    return BundlePlan(
        name=loaded.name,
        path=str(out or bundle_folder(loaded, out)),
        images=tuple(image.name for image in lock.images),
        trees=tuple(
            (f"{tree.kind} {tree.name}", len(tree.files), sum(file.size for file in tree.files))
            for tree in lock.trees
        ),
    )


def make_bundle(loaded: LoadedProject, out: Path | None, tools: BundleTools, progress: Progress) -> Made:
    """Build, fetch and pack; return what was made.

    What is there from an earlier time is used again. Raises ConfigError, VerificationError,
    UnreachableError, TransferError, EngineError or UnfitError.
    """
    lock = locked(loaded)
    mirrors = loaded.project.mirrors
    folder = bundle_folder(loaded, out)
    cache = default_cache(loaded.folder)
    check_room_for(lock.trees, cache)
    trees = tuple(tools.fetch(pin, loaded.folder, cache, progress, mirrors) for pin in lock.trees)
    images = tuple((image.name, tools.build(image, lock.stack, mirrors, progress)) for image in lock.images)
    upstream = tuple(dict.fromkeys(_pulled(image, mirrors) for image in lock.images if image.base_digest))
    request = PackRequest(
        loaded.name, lock.stack, dump_lock(lock), lock.locked, images, trees, upstream=upstream
    )
    summary = summarize(pack_bundle(request, tools.engine, FolderTarget(folder), progress, tools.sign))
    path, size = folder, summary.size
    if out is not None and out.suffix == TARBALL:
        path, size = out, write_tarball(open_bundle(folder), out, progress)
    signature = open_bundle(path, tools.trust.look).signature
    return Made(summary.name, summary.digest, str(path), size, summary.parts, signature)


def _pulled(image: ImageLock, mirrors: Mirrors) -> str:
    """Return the name, with its digest, under which the engine pulled an image or what it is built on."""
    from kit.images.base_image import by_digest
    from kit.images.stacks import PulledImage

    return by_digest(PulledImage(image.base, image.base_digest), mirrors.registry)
