"""Reads the requirements of an image out of pyproject.toml's extras. Pure."""

from __future__ import annotations

import re
import sys
from typing import Any

from kit.errors import ConfigError

_SELF = re.compile(r"^airgap-kit\[(?P<extra>[a-z0-9-]+)\]$")


def _parse(project: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(project)
    raise ConfigError("reading pyproject.toml needs Python 3.11", where="pyproject.toml")


def requirements_of(project: str, extra: str) -> tuple[str, ...]:
    """Return the requirements of an extra (of kit itself for `""`), extras of extras resolved, sorted.

    `project` is the text of pyproject.toml. Raises ConfigError when there is no such extra.
    """
    table = _parse(project)["project"]
    if not extra:
        return tuple(sorted(table["dependencies"]))
    return tuple(sorted(_expand(table["optional-dependencies"], extra)))


def _expand(extras: dict[str, list[str]], extra: str) -> set[str]:
    if extra not in extras:
        raise ConfigError(f"no extra named {extra!r}", where="pyproject.toml")
    found: set[str] = set()
    for requirement in extras[extra]:
        inner = _SELF.match(requirement)
        found |= _expand(extras, inner["extra"]) if inner else {requirement}
    # an exact local version (2.6.0+cu126) says more than the version that it refines
    return {line for line in found if not any(other.startswith(f"{line}+") for other in found)}
