"""What the tests of stack cu126 build with: a stand-in base, PyPI's torch where its own is out of reach."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from kit.images.build_image import Builder, build_recipe
from kit.images.debootstrap_root import DebootstrapRoot
from kit.images.docker_engine import DockerCommand
from kit.images.image_inputs import Recipe, read_packages
from kit.images.packages import complete
from kit.images.stacks import BuiltImage, find_stack
from kit.images.uv_subprocess import UvSubprocess
from kit.progress import NoProgress
from kit.project.model import Mirrors

WORK = Path(__file__).parent / "work"
"""What is mounted into containers: training arguments, DeepSpeed's settings, a model's maker."""
NOT_HAD: set[str] = {"data: ghcr.io/conardli/easy-dataset is pulled, not built"}
"""What could not be had; told at the end of the run."""


def docker(*argv: str, check: bool = True) -> str:
    """Return what docker printed, both streams."""
    done = subprocess.run(
        ("docker", *argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stdout[-4000:]
    return done.stdout


class Notes(NoProgress):
    """Prints the steps and how long they took."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def start(self, task: str, total: int | None = None) -> None:
        self._began[task] = monotonic()
        print(f"{task}: {total or 0:,} bytes")

    def finish(self, task: str) -> None:
        print(f"{task}: {monotonic() - self._began[task]:.0f} s")

    def note(self, text: str) -> None:
        print(text)


def stand_in_recipe(name: str) -> Recipe:
    """Return an image's recipe with what can be had anywhere: the root of stack cpu's train image as its
    base, and PyPI's torch where the lock is pending (its requirements name CUDA 12.4; the locked 12.6
    libraries stay)."""
    stack = find_stack("cu126")
    rule = stack.image(name)
    root = find_stack("cpu").image("train")
    assert isinstance(rule, BuiltImage)
    assert isinstance(root, BuiltImage)
    NOT_HAD.add(f"{name}: base {rule.base.reference}, the root of stack cpu's train image stands for it")
    rule = replace(rule, base=root.base, devel=None)
    lock = read_packages(rule, stack)
    if not lock.pending:
        return Recipe(rule, stack, lock)
    NOT_HAD.update(f"{name}: {requirement}, torch 2.6.0 stands for it" for requirement in lock.pending)
    serve = stack.image("serve")
    assert isinstance(serve, BuiltImage)
    torch = next(pin for pin in read_packages(serve, stack).pins if pin.name == "torch")
    lock = complete(replace(lock, pending=(f"{torch.name}=={torch.version}",)), replace(lock, pins=(torch,)))
    libraries = tuple(pin.name for pin in lock.pins if pin.name.startswith("nvidia-"))
    return Recipe(replace(rule, drop=libraries), stack, lock)


def stand_in_builder() -> Builder:
    """Return what builds in the engine that DOCKER_HOST names."""
    return Builder(Mirrors(), DockerCommand(), Notes(), UvSubprocess(), DebootstrapRoot())


@contextmanager
def built_image(name: str, builder: Builder) -> Iterator[str]:
    """Yield the ID of an image, built or found in the engine; gone afterwards, unless KIT_KEEP_IMAGES is set.

    Each has 7 GB.
    """
    image_id = build_recipe(stand_in_recipe(name), builder)
    try:
        yield image_id
    finally:
        if not os.environ.get("KIT_KEEP_IMAGES"):
            docker("rmi", "--force", image_id)
            docker("image", "prune", "--force")
