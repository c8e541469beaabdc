"""What differs between two pins of one model or dataset, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.project.lock import TreePin

_SHORT = 12
"""Digits of a commit that are shown."""


def tree_changes(before: TreePin, after: TreePin) -> str:
    """Return what changed: where it comes from, a branch or tag that moved, and how many files."""
    parts = []
    if before.source != after.source:
        parts.append(f"{before.source} -> {after.source}")
    elif before.asked == after.asked and before.revision != after.revision:
        old, new = before.revision[:_SHORT], after.revision[:_SHORT]
        parts.append(f"{after.asked or 'its revision'} moved from {old} to {new}")
    elif before.asked != after.asked:
        parts.append(f"revision {before.asked} -> {after.asked}")
    parts += _file_changes(before, after)
    return ", ".join(parts) or "changed"


def _file_changes(before: TreePin, after: TreePin) -> list[str]:
    old, new = ({file.path: file.digest for file in pin.files} for pin in (before, after))
    counts = (
        ("new", [path for path in new if path not in old]),
        ("gone", [path for path in old if path not in new]),
        ("changed", [path for path in new if path in old and old[path] != new[path]]),
    )
    return [f"{_named(paths)} {what}" for what, paths in counts if paths]


def _named(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{len(paths)} files"
