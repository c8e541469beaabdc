"""Builds an image in an engine from what kit.lock says, without a network inside the build."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from kit import __version__
from kit.errors import ConfigError
from kit.images.base_image import by_digest, ensure_base
from kit.images.completed_packages import locked_packages
from kit.images.context import ContextPart, Tree, context_size, write_context
from kit.images.debootstrap_root import DebootstrapRoot
from kit.images.docker_engine import BuildRequest
from kit.images.image_inputs import LAYERS, SITE, Recipe
from kit.images.install_packages import InstalledLayer, install_layers
from kit.images.stacks import Base, PulledImage, find_stack
from kit.images.uv_subprocess import UvSubprocess

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.images.debootstrap_root import RootMaker
    from kit.images.docker_engine import Engine
    from kit.images.uv_subprocess import Installer
    from kit.progress import Progress
    from kit.project.lock import ImageLock
    from kit.project.model import Mirrors

LABEL = "kit.inputs"
_STEP = re.compile(r"^Step \d|^#\d+ \[|: proven")  # as the classic builder and BuildKit write them
_SHOWN = 100  # characters of a step
_TARGETS = ("bin", "etc", "include", "lib", "share")  # what wheels install beside their modules


@dataclass(frozen=True, slots=True)
class BuiltInEngine:
    """An image in the engine, ready to be packed."""

    name: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Builder:
    """What a build works with."""

    mirrors: Mirrors
    engine: Engine
    progress: Progress
    installer: Installer
    roots: RootMaker


def build_image(
    name: str, stack: str, lock: ImageLock, mirrors: Mirrors, engine: Engine, progress: Progress
) -> BuiltInEngine:
    """Return the image that the lock describes; it is built only when the engine does not have it.

    Raises ConfigError when the lock is not this kit's, TransferError when packages or the base cannot
    be had, UnfitError when this machine cannot make the base, EngineError when the build fails.
    """
    builder = Builder(mirrors, engine, progress, UvSubprocess(), DebootstrapRoot())
    if lock.packages_digest is None:
        return BuiltInEngine(name, _pull(lock, builder))
    pins = find_stack(stack)
    rule = pins.built_image(name)
    packages = locked_packages(rule, pins, lock, builder.installer, mirrors.pip)
    recipe = Recipe(rule, pins, packages).with_base_digest(lock.base_digest)
    if recipe.digest != lock.inputs_digest:
        raise ConfigError(
            f"the image {name} was locked with other build files than this kit has",
            where="kit.lock",
            why="kit itself, a Dockerfile, a smoke test or images/stacks.yaml changed since",
            fix="kit lock",
        )
    return BuiltInEngine(name, build_recipe(recipe, builder))


def _pull(lock: ImageLock, builder: Builder) -> str:
    """Return the ID of an image that is taken as it is."""
    reference = by_digest(PulledImage(lock.base, lock.base_digest), builder.mirrors.registry)
    task = f"pulling {reference}"
    builder.progress.start(task)
    image_id = builder.engine.pull(reference, f"kit.invalid/{lock.name}:upstream")
    builder.progress.finish(task)
    return image_id


def build_recipe(recipe: Recipe, builder: Builder) -> str:
    """Return the ID of the recipe's image, built when the engine does not have it. Raises as build_image."""
    digest = recipe.digest
    found = builder.engine.find_image(LABEL, digest)
    if found:
        builder.progress.note(f"image {recipe.rule.name}: unchanged")
        return found
    with ThreadPoolExecutor(max_workers=1) as pool:  # one waits for a processor, the other for the network
        base_tag = pool.submit(_base_tag, recipe.rule.base, builder)
        layers = _install(recipe, builder)
        base = base_tag.result()
    parts = (*recipe.own_parts, *(part for layer in LAYERS for part in _layer_parts(layer, layers)))
    if recipe.rule.devel is None:
        return _build(build_request(recipe, base, digest), parts, builder)
    plain = build_request(recipe, base, f"{digest}-without-operators", "-without-operators")
    _build(plain, parts, builder)
    request = operators_request(recipe, plain.tag, _base_tag(recipe.rule.devel, builder), digest)
    return _build(request, recipe.own_parts, builder)


def _base_tag(base: Base, builder: Builder) -> str:
    return ensure_base(base, builder.mirrors, builder.engine, builder.roots, builder.progress)


def _build(request: BuildRequest, parts: tuple[ContextPart, ...], builder: Builder) -> str:
    progress = builder.progress
    task = f"building {request.tag}"
    progress.start(task, context_size(parts))

    def context(sink: IO[bytes]) -> None:
        write_context(parts, sink, lambda count: progress.advance(task, count))

    image_id = builder.engine.build(request, context, _steps(progress))
    progress.finish(task)
    return image_id


def _install(recipe: Recipe, builder: Builder) -> tuple[InstalledLayer, ...]:
    task = f"packages of {recipe.rule.name}"
    builder.progress.start(task)
    pip = builder.mirrors.pip
    layers = install_layers(recipe.rule, recipe.stack, recipe.packages, builder.installer, pip)
    builder.progress.finish(task)
    return layers


def build_request(recipe: Recipe, base: str, inputs: str, variant: str = "") -> BuildRequest:
    """Return what to ask the engine for. `inputs` becomes the image's label."""
    name, stack = recipe.rule.name, recipe.stack.name
    args = (
        ("BASE", base),
        ("TITLE", f"airgap-kit {name}"),
        ("VERSION", __version__),
        ("REVISION", recipe.packages.digest),
        ("STACK", stack),
        ("INPUTS", inputs),
    )
    return BuildRequest("Dockerfile", f"kit.invalid/{name}:built-{stack}{variant}", args)


def operators_request(recipe: Recipe, base: str, devel: str, inputs: str) -> BuildRequest:
    """Return how GPU operators are added to the image `base`, with the compiler that `devel` holds."""
    args = (("BASE", base), ("DEVEL", devel), ("INPUTS", inputs))
    tag = f"kit.invalid/{recipe.rule.name}:built-{recipe.stack.name}"
    return BuildRequest("ops.Dockerfile", tag, args)


def _layer_parts(name: str, layers: tuple[InstalledLayer, ...]) -> tuple[ContextPart, ...]:
    place = f"layers/{name}"
    folder = next((layer.folder for layer in layers if layer.name == name), None)
    rename = (*((target, target) for target in _TARGETS), ("", f"{SITE}/"))
    return (Tree(place, folder, rename=rename),)


def _steps(progress: Progress) -> Callable[[str], None]:
    def hear(line: str) -> None:
        if _STEP.search(line):
            progress.note(line[:_SHOWN])

    return hear
