"""Resolves everything that an image is built from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from kit.errors import TransferError
from kit.images.base_image import mirrored
from kit.images.completed_packages import complete_packages
from kit.images.docker_engine import DockerCommand
from kit.images.image_inputs import Recipe, read_packages
from kit.images.stacks import BuiltImage, PulledImage, UpstreamImage, find_stack
from kit.images.uv_subprocess import UvSubprocess
from kit.project.lock import ImageLock

if TYPE_CHECKING:
    from kit.images.docker_engine import Engine
    from kit.images.packages import PackageLock
    from kit.images.stacks import Stack
    from kit.images.uv_subprocess import Installer
    from kit.project.model import Mirrors


def lock_image(
    name: str,
    stack: str,
    mirrors: Mirrors,
    *,
    offline: bool,
    engine: Engine | None = None,
    installer: Installer | None = None,
) -> ImageLock:
    """Return the resolved inputs of an image; what no network gives is listed as pending.

    Raises ConfigError when the stack has no such image.
    """
    pins = find_stack(stack)
    rule = pins.image(name)
    engine = engine or DockerCommand()
    if isinstance(rule, UpstreamImage):
        return _lock_upstream(rule, mirrors, engine, offline=offline)
    return _lock_built(rule, pins, mirrors, engine, installer or UvSubprocess(), offline=offline)


def _resolve(
    image: PulledImage, mirrors: Mirrors, engine: Engine, *, offline: bool
) -> tuple[str | None, tuple[str, ...]]:
    if image.digest:
        return image.digest, ()
    if offline:
        return None, (f"digest of {image.reference}",)
    try:
        return engine.resolve(mirrored(image.reference, mirrors.registry)), ()
    except TransferError as error:
        return None, (f"digest of {image.reference} ({_one_line(error.why or error.what)})",)


def _one_line(text: str) -> str:
    return " ".join(text.split())[-200:]


def _lock_upstream(rule: UpstreamImage, mirrors: Mirrors, engine: Engine, *, offline: bool) -> ImageLock:
    digest, pending = _resolve(rule.image, mirrors, engine, offline=offline)
    inputs = hashlib.sha256(json.dumps([asdict(rule), digest], sort_keys=True).encode()).hexdigest()
    return ImageLock(rule.name, rule.image.reference, digest, f"sha256:{inputs}", None, pending)


def _lock_built(
    rule: BuiltImage, stack: Stack, mirrors: Mirrors, engine: Engine, installer: Installer, *, offline: bool
) -> ImageLock:
    packages, pending = _packages(rule, stack, mirrors, installer, offline=offline)
    digest = None
    if isinstance(rule.base, PulledImage):
        digest, base_pending = _resolve(rule.base, mirrors, engine, offline=offline)
        pending = (*pending, *base_pending)
    recipe = Recipe(rule, stack, packages).with_base_digest(digest)
    return ImageLock(rule.name, rule.base.reference, digest, recipe.digest, packages.digest, pending)


def _packages(
    rule: BuiltImage, stack: Stack, mirrors: Mirrors, installer: Installer, *, offline: bool
) -> tuple[PackageLock, tuple[str, ...]]:
    brought = read_packages(rule, stack)
    if not brought.pending:
        return brought, ()
    if not offline:
        try:
            return complete_packages(rule, stack, installer, mirrors.pip), ()
        except TransferError:
            pass  # listed as pending; a machine with a network completes it
    reason = f"needs PyTorch's {stack.torch_backend} index"
    return brought, tuple(f"{requirement} ({reason})" for requirement in brought.pending)
