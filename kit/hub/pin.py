"""Deciding which files of a model or dataset belong to it. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Files that run code when they are loaded (pickle)."""
_SHOWN = 3


def is_plain_path(path: str) -> bool:
    """Tell whether a path is relative, without `..`, and can be a file's name on every host."""
    parts = path.split("/")
    clean = not any(ord(character) < ord(" ") or character in "\\\x7f" for character in path)
    return clean and all(part not in ("", ".", "..") for part in parts)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in path.split("/"))


def choose_paths(
    paths: Iterable[str], include: tuple[str, ...], exclude: tuple[str, ...], where: str
) -> tuple[str, ...]:
    """Return the paths to pin, sorted: those that match `include` (all, when empty) and not `exclude`.

    Patterns are shell wildcards over the whole path; `*` also matches `/`. Names that begin with
    a dot are a tool's own and stay out. Raises ConfigError naming `where` (a key of kit.yaml)
    when nothing is left, a path is unsafe, or a pickle would come along that `include` does not
    name in full.
    """
    chosen = sorted(
        path
        for path in paths
        if not _is_hidden(path) and (not include or _matches(path, include)) and not _matches(path, exclude)
    )
    _check(chosen, include, where)
    return tuple(chosen)


def _check(chosen: list[str], include: tuple[str, ...], where: str) -> None:
    if not chosen:
        raise ConfigError("no files", where=where, fix="correct path, include or exclude in kit.yaml")
    unsafe = [path for path in chosen if not is_plain_path(path)]
    if unsafe:
        raise ConfigError(f"a file name that cannot travel: {unsafe[0]!r}", where=where, fix="rename it")
    pickles = [path for path in chosen if path.lower().endswith(PICKLES) and path not in include]
    if pickles:
        shown = ", ".join(pickles[:_SHOWN]) + (" …" if len(pickles) > _SHOWN else "")
        raise ConfigError(
            f"pickle files run code when they are loaded: {shown}",
            where=where,
            fix=f"leave them out (exclude: ['*{_ending(pickles[0])}']), or name each one in include",
        )


def _ending(path: str) -> str:
    return "." + path.rsplit(".", 1)[-1]
