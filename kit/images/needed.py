"""What of the package cache and of an engine's build images a lock still needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.images.base_image import base_tag, root_digest
from kit.images.completed_packages import kept_packages, own_packages
from kit.images.image_inputs import pinned_base, read_packages
from kit.images.install_packages import package_set_name
from kit.images.packages import partition
from kit.images.stacks import Debootstrap, find_stack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.images.stacks import Base, BuiltImage, Stack
    from kit.project.lock import ImageLock, Lock

INPUTS_LABEL = "kit.inputs"
_WITHOUT_OPERATORS = "-without-operators"
_BUILD_TAG = re.compile(r"kit\.invalid/([^/:]+:(built-.+|upstream)|base:[0-9a-f]{12})\Z")


@dataclass(frozen=True, slots=True)
class Needed:
    """What some locks need of the machine that builds."""

    package_sets: frozenset[str] = frozenset()
    """Names of folders in the package cache."""
    package_locks: frozenset[str] = frozenset()
    """Digests."""
    inputs: frozenset[str] = frozenset()
    """Digests of what images are built from."""
    roots: frozenset[str] = frozenset()
    """Digests of what roots are made from."""
    tags: frozenset[str] = frozenset()
    """Of bases, and of images taken as they are."""

    def __or__(self, other: Needed) -> Needed:
        return Needed(
            self.package_sets | other.package_sets,
            self.package_locks | other.package_locks,
            self.inputs | other.inputs,
            self.roots | other.roots,
            self.tags | other.tags,
        )


def needed_by(lock: Lock) -> Needed:
    """Return what a lock needs. Raises ConfigError when this version of kit cannot tell."""
    found = Needed()
    for image in lock.images:
        if image.packages_digest is None:
            found |= Needed(tags=frozenset((f"kit.invalid/{image.name}:upstream",)))
        else:
            found |= _needed_by_image(image, find_stack(lock.stack), image.packages_digest)
    return found


def _needed_by_image(image: ImageLock, stack: Stack, packages_digest: str) -> Needed:
    rule = stack.built_image(image.name)
    brought = own_packages(image) or read_packages(rule, stack)
    packages = brought if brought.digest == packages_digest else kept_packages(brought, packages_digest)
    if packages is None:
        raise ConfigError(
            f"the packages of {image.name} are not known to this version of kit",
            where="kit.lock",
            why=f"it was locked by kit with other packages, {packages_digest}",
            fix="kit lock",
        )
    groups = partition(packages, rule.layers)
    bases = _bases(rule, image)
    return Needed(
        package_sets=frozenset(package_set_name(stack, pins) for _, pins in groups if pins),
        package_locks=frozenset((packages_digest,)),
        inputs=frozenset((image.inputs_digest,)),
        roots=frozenset(root_digest(base) for base in bases if isinstance(base, Debootstrap)),
        tags=frozenset(base_tag(base) for base in bases),
    )


def _bases(rule: BuiltImage, image: ImageLock) -> tuple[Base, ...]:
    base = pinned_base(rule.base, image.base_digest)
    beneath = base.beneath if isinstance(base, Debootstrap) else None
    return tuple(found for found in (base, beneath, rule.devel) if found)


@dataclass(frozen=True, slots=True)
class ImageHere:
    """An image as an engine lists it."""

    image_id: str
    tags: tuple[str, ...]
    inputs: str
    """Label `kit.inputs`: what kit built it from; empty when kit did not."""
    root: str
    """Label `kit.root`, which images pass on to those built from them."""
    size: int
    """Bytes that no other image shares, where the engine tells; otherwise all of its bytes."""


def is_build_tag(tag: str) -> bool:
    """Tell whether a tag is one that building gives; an identity tag is one that running needs."""
    return _BUILD_TAG.match(tag) is not None


def old_images(images: Iterable[ImageHere], needed: Needed) -> tuple[ImageHere, ...]:
    """Return what kit built or pulled to build, and nobody needs: images first, then their bases.

    An image with any other tag, such as the one that a host runs it by, is never among them.
    """
    old = [image for image in images if _is_ours(image) and not _is_needed(image, needed)]
    return tuple(sorted(old, key=lambda image: (not image.inputs, _WITHOUT_OPERATORS in image.inputs)))


def _is_ours(image: ImageHere) -> bool:
    marked = bool(image.inputs or image.root or image.tags)
    return marked and all(is_build_tag(tag) for tag in image.tags)


def _is_needed(image: ImageHere, needed: Needed) -> bool:
    if image.inputs:
        return image.inputs.removesuffix(_WITHOUT_OPERATORS) in needed.inputs
    return image.root in needed.roots or bool(needed.tags.intersection(image.tags))
