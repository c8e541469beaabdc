"""Writing a kit.yaml to start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.project.init import starter_files

if TYPE_CHECKING:
    from pathlib import Path

STACKS = ("cu126", "cpu")
_FALLBACK_NAME = "project"


@dataclass(frozen=True, slots=True)
class Started:
    """The files of a new project."""

    files: tuple[str, ...]
    dry_run: bool = False


def project_name(folder_name: str) -> str:
    """Return a folder's name in the letters that kit.yaml allows in names. Pure."""
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in folder_name.lower())
    return name.strip("-")[:63].strip("-") or _FALLBACK_NAME


def start_project(folder: Path, stack: str, *, dry_run: bool = False) -> Started:
    """Write the starter files and return their paths; files that are there are never overwritten.

    Raises ConfigError for an unknown stack, or when one of the files exists.
    """
    if stack not in STACKS:
        raise ConfigError(f"no stack named {stack!r}", where="--stack", fix=f"one of: {', '.join(STACKS)}")
    files = starter_files(stack, project_name(folder.resolve().name))
    paths = {folder / path: text for path, text in files.items()}
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise ConfigError("already there", where=", ".join(there), fix="name another folder: kit init FOLDER")
    if not dry_run:
        _write(paths)
    return Started(tuple(map(str, paths)), dry_run)


def _write(paths: dict[Path, str]) -> None:
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        where = str(error.filename or "")
        raise ConfigError("cannot be written", where=where, why=error.strerror or "") from error
