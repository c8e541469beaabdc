"""Package locks: parsing, completing, splitting into the layers of an image. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.images.stacks import LayerGroup

PENDING = "# pending: "
_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one version, with the sha256 of every file that may stand for it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """Hexadecimal sha256, sorted."""

    @property
    def requirement(self) -> str:
        """As uv and pip read it, in one block."""
        lines = [f"{self.name}=={self.version}", *(f"    --hash=sha256:{value}" for value in self.hashes)]
        return " \\\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class PackageLock:
    """Everything that goes into an image from package indexes."""

    pins: tuple[Pin, ...]
    """Sorted by name."""
    pending: tuple[str, ...] = ()
    """`name==version` of what an index out of reach must still give the hashes of."""

    @property
    def digest(self) -> str:
        """sha256 of the list; comments and layout do not count."""
        return "sha256:" + hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def text(self) -> str:
        """The pins and what is pending, in the form that `parse_packages` reads."""
        pending = "".join(f"{PENDING}{requirement}\n" for requirement in self.pending)
        return pending + "".join(pin.requirement for pin in self.pins)


def parse_packages(text: str, where: str) -> PackageLock:
    """Return the lock in `text` (requirements with hashes). Raises ConfigError naming the line."""
    pins, pending = [], []
    for block in text.replace("\\\n", " ").splitlines():
        line = block.strip()
        if line.startswith(PENDING):
            pending.append(line.removeprefix(PENDING).split()[0])
        elif line and not line.startswith("#"):
            pins.append(_parse_pin(line, where))
    return PackageLock(tuple(sorted(pins, key=lambda pin: pin.name)), tuple(sorted(pending)))


def _parse_pin(line: str, where: str) -> Pin:
    found = _PIN.match(line)
    hashes = _HASH.findall(line)
    if not found or not hashes:
        raise ConfigError(
            f"not a pinned package with hashes: {line[:80]!r}",
            where=where,
            fix="python images/update_locks.py, in a checkout of kit",
        )
    return Pin(found["name"], found["version"], tuple(sorted(hashes)))


def complete(lock: PackageLock, found: PackageLock) -> PackageLock:
    """Return `lock` with what was pending taken from `found`. Raises ConfigError when it is not there."""
    given = {f"{pin.name}=={pin.version}": pin for pin in found.pins}
    missing = [requirement for requirement in lock.pending if requirement not in given]
    if missing:
        raise ConfigError(f"no index has {', '.join(missing)}", where="package lock", fix="kit lock")
    pins = (*lock.pins, *(given[requirement] for requirement in lock.pending))
    return PackageLock(tuple(sorted(pins, key=lambda pin: pin.name)))


def partition(lock: PackageLock, groups: tuple[LayerGroup, ...]) -> tuple[tuple[str, tuple[Pin, ...]], ...]:
    """Return (group name, its pins) in the order of `groups`. Raises ConfigError when a pin has none.

    A group that matches everything gets what no other matches, wherever it stands.
    """
    members: dict[str, list[Pin]] = {group.name: [] for group in groups}
    choosy = [group for group in groups if "*" not in group.patterns]
    rest = [group for group in groups if "*" in group.patterns]
    for pin in lock.pins:
        for group in (*choosy, *rest):
            if any(fnmatchcase(pin.name, pattern) for pattern in group.patterns):
                members[group.name].append(pin)
                break
        else:
            raise ConfigError(f"no layer takes the package {pin.name}", where="images/stacks.yaml")
    return tuple((name, tuple(pins)) for name, pins in members.items())
