"""Packages that kit.yaml asks for in an image, at other releases than the stack's or beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.data_files import data_folder
from kit.images.packages import PackageLock, Pin
from kit.project.requirement import distribution_name, exact_version, extras_of

if TYPE_CHECKING:
    from kit.images.stacks import BuiltImage, Stack


def stack_requirements(rule: BuiltImage, stack: Stack) -> tuple[str, ...]:
    """Return what the stack itself asks for in an image."""
    text = (data_folder("images") / rule.name / f"{stack.name}.in").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if distribution_name(line))


def merged(requirements: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """Return requirements in which each asked one takes the place of that on the same package.

    The extras of the package stay, unless it is asked for with others.
    """
    extras = {distribution_name(line): extras_of(line) for line in requirements}
    found = {distribution_name(line): line for line in requirements}
    for line in asked:
        name = distribution_name(line)
        plain, equal, version = line.partition("==")
        found[name] = line if extras_of(line) else f"{plain}{extras.get(name, '')}{equal}{version}"
    return tuple(sorted(found.values()))


def named_packages(requirements: tuple[str, ...], brought: PackageLock) -> PackageLock:
    """Return the packages that requirements name, each at the release that is certain before resolving.

    That is the one that `==` says; otherwise the one that the stack's own lock has. What other packages
    pull in is not in it.
    """
    known = {pin.name: pin.version for pin in brought.pins}
    pins = []
    for line in requirements:
        name = distribution_name(line)
        version = exact_version(line) or known.get(name)
        if version:
            pins.append(Pin(name, version, ()))
    return PackageLock(tuple(sorted(pins, key=lambda pin: pin.name)))


def lines_of(packages: PackageLock) -> tuple[str, ...]:
    """Return the pins as kit.lock has them, a line each."""
    return tuple(pin.requirement.replace(" \\\n   ", "").rstrip() for pin in packages.pins)
