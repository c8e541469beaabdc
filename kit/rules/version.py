"""Versions of Python packages and of drivers, compared as PEP 440 says. Pure."""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from kit.errors import ConfigError


def parse_version(text: str) -> Version | None:
    """Return the version in a text, or None when it is none."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def is_specifier(text: str) -> bool:
    """Tell whether a text is a condition on versions, such as `>=0.9,<0.10`."""
    return _parse_specifier(text) is not None


def matches(version: str, specifier: str) -> bool:
    """Return whether a version satisfies every clause. What is no version satisfies none.

    Pre-releases count as versions like any other. Raises ConfigError for what is no specifier.
    """
    clauses = _parse_specifier(specifier)
    if clauses is None:
        raise ConfigError(f"{specifier!r} is no condition on versions", where="images/rules.yaml")
    found = parse_version(version)
    return found is not None and clauses.contains(found, prereleases=True)


def _parse_specifier(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text) if text.strip() else None
    except InvalidSpecifier:
        return None
