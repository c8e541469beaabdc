"""Changing a valid JSON document in a few places, as bytes say, so that it still is JSON."""

from __future__ import annotations

import copy
from typing import Any

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1 << 31,
    1 << 63,
    10**400,
    1.5,
    float("inf"),
    "",
    "x",
    "\ud800",
    "\0",
    "\x1b[2J",
    "../../etc/passwd",
    "sha256:" + "0" * 64,
    "9" * 5000,
    [],
    [[]],
    {},
    {"": None},
)
"""What stands where something else should."""


def places(document: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything inside a document."""
    found: list[tuple[Any, Any]] = []
    if isinstance(document, dict | list):
        items = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in items:
            found.append((document, key))
            found.extend(places(value))
    return found


def operate(document: Any, data: bytes) -> Any:
    """Return a copy of a document in which every three bytes change one place."""
    whole = {"": copy.deepcopy(document)}
    for start in range(0, len(data) - 2, 3):
        where, how, what = data[start : start + 3]
        found = places(whole)
        container, key = found[(where * 257 + how // 8) % len(found)]
        _change(container, key, how % 8, what)
        if "" not in whole:
            break
    return whole.get("")


def _change(container: Any, key: Any, how: int, what: int) -> None:
    odd = copy.deepcopy(ODD[what % len(ODD)])
    if how == 0:
        del container[key]
    elif how == 1 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif how == 1 or (how == 2 and isinstance(container[key], dict)):
        target = container if how == 1 else container[key]
        target[odd if isinstance(odd, str) else "more"] = copy.deepcopy(container[key])
    elif how == 3 and isinstance(container[key], str):
        container[key] += chr(what)
    elif how == 4 and isinstance(container[key], int):
        container[key] += what - 128
    else:
        container[key] = odd
