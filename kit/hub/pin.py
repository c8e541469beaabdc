"""Deciding which files of a model or dataset belong to it. Pure.

Out of everything that is there: what the patterns choose, less the copies of weights that are
there as safetensors too. What is left must be able to travel, and a pickle must be allowed by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill")
"""Files that run code when they are loaded (pickle)."""
OTHER_FORMS = (*PICKLES, ".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".tflite")
"""Weights in other forms than safetensors; index files beside them end in `.index.json`."""
SAFE = ".safetensors"
_SHOWN = 3
_LONGEST_NAME = 255
_LONGEST_PATH = 1024
"""In bytes; Linux's own limits leave room for kit's folders."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """What a user says about the files to take."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()
    """Paths of pickle files, in full."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The files to pin, and those left out because safetensors say the same."""

    paths: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def is_plain_path(path: str) -> bool:
    """Tell whether a path is relative, without `..`, and can be a file's name on every host."""
    parts = path.split("/")
    clean = not any(ord(character) < ord(" ") or character in "\\\x7f" for character in path)
    return clean and _fits(path, parts) and all(part not in ("", ".", "..") for part in parts)


def _fits(path: str, parts: list[str]) -> bool:
    try:
        lengths = [len(part.encode()) for part in (path, *parts)]
    except UnicodeEncodeError:
        return False
    return lengths[0] <= _LONGEST_PATH and max(lengths[1:]) <= _LONGEST_NAME


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in path.split("/"))


def choose_paths(paths: Iterable[str], patterns: Patterns, where: str) -> Choice:
    """Return the paths to pin, sorted: those that match `include` (all, when empty) and not `exclude`.

    Patterns are shell wildcards over the whole path; `*` also matches `/`. Names that begin with
    a dot are a tool's own and stay out, and so do copies of weights in other forms where there
    are safetensors, unless `include` or `allow_pickle` asks for them. Raises ConfigError naming
    `where` (a key of kit.yaml) when nothing is left, a path cannot travel, or a pickle would come
    along that `allow_pickle` does not name.
    """
    include = patterns.include
    wanted = sorted(
        path
        for path in paths
        if not _is_hidden(path)
        and (not include or _matches(path, include))
        and not _matches(path, patterns.exclude)
    )
    copies = _copies(wanted, patterns)
    chosen = [path for path in wanted if path not in copies]
    _check(chosen, patterns, where)
    return Choice(tuple(chosen), tuple(path for path in wanted if path in copies))


def _copies(paths: list[str], patterns: Patterns) -> set[str]:
    """Return the files that hold in another form what safetensors hold already."""
    safe = {_folder(path) for path in paths if path.endswith(SAFE)}
    parts = {_folder(path) for path in paths if path.rpartition("/")[2] == "config.json"}
    asked = {path for path in paths if path in patterns.allow_pickle or _matches(path, patterns.include)}
    return {
        path
        for path in paths
        if path not in asked and _is_other_form(path) and _has_safe(_folder(path), safe, parts)
    }


def _is_other_form(path: str) -> bool:
    name = path.lower().removesuffix(".index.json")
    return name.endswith(OTHER_FORMS)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _has_safe(folder: str, safe: set[str], parts: set[str]) -> bool:
    """Tell whether safetensors stand in the folder, or above it with no other part of a model between.

    A folder with a config.json is a part of its own: its pickle may be the only copy there is.
    """
    while folder not in safe:
        if folder in parts or not folder:
            return False
        folder = _folder(folder)
    return True


def _check(chosen: list[str], patterns: Patterns, where: str) -> None:
    if not chosen:
        raise ConfigError("no files", where=where, fix="correct path, include or exclude in kit.yaml")
    unsafe = [path for path in chosen if not is_plain_path(path)]
    if unsafe:
        raise ConfigError(f"a file name that cannot travel: {unsafe[0]!r}", where=where, fix="rename it")
    _check_collisions(chosen, where)
    pickles = [path for path in chosen if is_pickle(path) and path not in patterns.allow_pickle]
    if pickles:
        shown = ", ".join(pickles[:_SHOWN]) + (" …" if len(pickles) > _SHOWN else "")
        raise ConfigError(
            f"pickle files run code when they are loaded: {shown}",
            where=where,
            fix=f"leave them out (exclude: ['*{PurePosixPath(pickles[0]).suffix}']), "
            f"or, if you trust them, allow_pickle: ['{pickles[0]}']",
        )


def is_pickle(path: str) -> bool:
    """Tell by its name whether a file runs code when it is loaded."""
    return path.lower().endswith(PICKLES)


def _check_collisions(chosen: list[str], where: str) -> None:
    names = set(chosen)
    for before, path in pairwise(chosen):
        if before == path:
            raise ConfigError(f"two files of one name: {path!r}", where=where, fix="rename one")
    for path in chosen:
        folder = _folder(path)
        while folder:
            if folder in names:
                raise ConfigError(
                    f"a file and a folder of one name: {folder!r}", where=where, fix="rename one"
                )
            folder = _folder(folder)
