"""Resolving what kit.yaml asks for into pins: images by digest and hash, models and datasets file by file."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import kit
from kit.project.lock import Lock, project_digest

if TYPE_CHECKING:
    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.project.lock import ImageLock, TreePin
    from kit.project.model import DatasetSpec, ModelSpec

KIT_IMAGE = "kit"
"""kit's own image is part of every bundle: it is what works on the hosts."""


def _lock_images(loaded: LoadedProject, *, offline: bool, progress: Progress) -> tuple[ImageLock, ...]:
    from kit.images.lock_image import ImageResolver
    from kit.project.model import NamedImage

    project = loaded.project
    resolver = ImageResolver(project.stack, project.mirrors, offline)
    locks = []
    for image in (KIT_IMAGE, *project.images):
        name = image.name if isinstance(image, NamedImage) else image
        progress.start(f"lock image {name}")
        locks.append(resolver.lock(image))
        progress.finish(f"lock image {name}")
    return tuple(locks)


def _pin_trees(loaded: LoadedProject, *, offline: bool, progress: Progress) -> tuple[TreePin, ...]:
    from kit.hub.pin_tree import pin_tree

    project = loaded.project
    wanted: list[tuple[str, str, ModelSpec | DatasetSpec]] = [
        ("model", name, spec) for name, spec in project.models.items()
    ]
    wanted += [("dataset", name, spec) for name, spec in project.datasets.items()]
    pins = []
    for kind, name, spec in wanted:
        progress.start(f"lock {kind} {name}")
        pins.append(pin_tree(kind, name, spec, loaded.folder, project.mirrors, offline=offline))
        progress.finish(f"lock {kind} {name}")
    return tuple(pins)


def make_lock(loaded: LoadedProject, *, offline: bool, progress: Progress) -> Lock:
    """Return the lock of a project.

    With `offline`, what only a network can tell is left pending and named in the lock. Raises
    ConfigError for what cannot be resolved as written, UnreachableError when a registry or hub
    does not answer.
    """
    return Lock(
        kit_version=kit.__version__,
        stack=loaded.project.stack,
        project_digest=project_digest(loaded.project),
        locked=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        images=_lock_images(loaded, offline=offline, progress=progress),
        trees=_pin_trees(loaded, offline=offline, progress=progress),
    )
