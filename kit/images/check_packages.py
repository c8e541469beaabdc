"""An image's packages against the rules of `images/rules.yaml`, before anything is built. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.rules.evaluate import Broken, broken_rules, package_facts
from kit.rules.refuse import refuse
from kit.rules.rule import load_rules

if TYPE_CHECKING:
    from kit.images.packages import PackageLock
    from kit.images.stacks import Stack


def broken_package_rules(stack: Stack, packages: PackageLock) -> tuple[Broken, ...]:
    """Return the rules that these packages break together; what is pending counts like the rest."""
    pins = [(pin.name, pin.version) for pin in packages.pins]
    for requirement in packages.pending:
        name, _, version = requirement.partition("==")
        pins.append((name, version))
    facts = package_facts(pins) | {"python": (stack.python,), "stack": (stack.name,)}
    return broken_rules(load_rules(), "image", facts)


def check_packages(name: str, stack: Stack, packages: PackageLock, where: str = "") -> None:
    """Raise ConfigError when packages of an image do not go together. `where` names the key that says so."""
    refuse(broken_package_rules(stack, packages), where or f"packages of {name}/{stack.name}")
