"""Resolving what kit.yaml asks for into pins: images by digest and hash, models and datasets file by file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

import kit
from kit.jobs.check_arguments import unchecked
from kit.jobs.job_rules import check_job
from kit.project.lock import ImageLock, Lock, TreePin, project_digest
from kit.workflow.check_inputs import check_job_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.project.model import DatasetSpec, ModelSpec

KIT_IMAGE = "kit"
"""kit's own image is part of every bundle: it is what works on the hosts."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a lock that is still to be resolved."""

    name: str
    """As in `image train`."""
    resolve: Callable[[], ImageLock | TreePin]
    """Raises ConfigError, VerificationError, TransferError or UnreachableError."""


def parts_of(
    loaded: LoadedProject, *, offline: bool, before: Lock | None = None, progress: Progress | None = None
) -> tuple[Part, ...]:
    """Return the parts of a project's lock: kit's own image and the others, models, datasets.

    With `before`, what nobody tells (because of `offline`, or for want of an answer) is taken from that
    lock, and still listed as pending. `progress` hears how a hub is doing.
    """
    images = _images(loaded, offline=offline, before=before)
    return (*images, *_trees(loaded, offline=offline, progress=progress))


def _images(loaded: LoadedProject, *, offline: bool, before: Lock | None) -> Iterator[Part]:
    from kit.images.lock_image import ImageResolver
    from kit.project.model import NamedImage

    project = loaded.project
    asked = {str(name): packages for name, packages in project.packages.items()}
    resolver = ImageResolver(project.stack, project.mirrors, offline, asked=asked)
    for image in (KIT_IMAGE, *project.images):
        name = image.name if isinstance(image, NamedImage) else image
        earlier = before.image(name) if before else None
        yield Part(f"image {name}", partial(resolver.lock, image, earlier))


def _trees(loaded: LoadedProject, *, offline: bool, progress: Progress | None) -> Iterator[Part]:
    from kit.hub.pin_tree import pin_tree

    project = loaded.project
    wanted: list[tuple[str, str, ModelSpec | DatasetSpec]] = [
        ("model", name, spec) for name, spec in project.models.items()
    ]
    wanted += [("dataset", name, spec) for name, spec in project.datasets.items()]
    pin = partial(pin_tree, folder=loaded.folder, mirrors=project.mirrors, offline=offline, progress=progress)
    for kind, name, spec in wanted:
        yield Part(f"{kind} {name}", partial(pin, name, spec))


def make_lock(loaded: LoadedProject, *, offline: bool, progress: Progress) -> Lock:
    """Return the lock of a project.

    With `offline`, what only a network can tell is left pending and named in the lock. Raises
    ConfigError for what cannot be resolved as written, UnreachableError when a hub does not answer,
    VerificationError when a registry or hub contradicts itself.
    """
    for job in loaded.project.jobs:
        check_job(loaded.project, job)
        if note := unchecked(loaded.project, job):
            progress.note(note)
        check_job_inputs(loaded, job, progress)
    found: list[ImageLock | TreePin] = []
    for part in parts_of(loaded, offline=offline, progress=progress):
        progress.start(f"lock {part.name}")
        found.append(part.resolve())
        progress.finish(f"lock {part.name}")
    return Lock(
        kit_version=kit.__version__,
        stack=loaded.project.stack,
        project_digest=project_digest(loaded.project),
        locked=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        images=tuple(part for part in found if isinstance(part, ImageLock)),
        trees=tuple(part for part in found if isinstance(part, TreePin)),
    )
