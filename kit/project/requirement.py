"""Requirements on Python packages, as far as kit reads them: a name, and the release that `==` says. Pure.

The form is PEP 508's, names are normalised as PEP 503 says.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRAS = re.compile(r"\s*[A-Za-z0-9._-]+\s*(\[[^\]]*\])")
_EXACT = re.compile(r"\s*[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*==\s*([^\s;,*]+)\s*")


def distribution_name(requirement: str) -> str:
    """Return the normalised name in a requirement; empty when there is none."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def extras_of(requirement: str) -> str:
    """Return the extras in a requirement, brackets included; empty when there are none."""
    found = _EXTRAS.match(requirement)
    return found[1] if found else ""


def exact_version(requirement: str) -> str | None:
    """Return the one release that a requirement allows, or None when it allows several."""
    found = _EXACT.fullmatch(requirement)
    return found[1] if found else None
