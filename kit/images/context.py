"""The build context: one tar stream, the same bytes for the same contents on any machine."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MTIME = 315_619_200
"""1980-01-02, the first day that a zip file can hold in any time zone."""
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder on this machine, and its place in the context."""

    place: str
    folder: Path | None
    """None for an empty folder."""
    rename: tuple[tuple[str, str], ...] = ()
    """(first part of a path, what stands for it); `""` names the rule for all others."""
    leave_out: tuple[str, ...] = ()
    """Patterns on file and folder names that stay behind."""

    def files(self) -> tuple[tuple[str, Path], ...]:
        """Return (place, path) of every file in it, sorted by place."""
        return tuple((place, path) for place, path in _placed(self) if path.is_file())


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file made on the spot."""

    place: str
    content: str
    executable: bool = False


ContextPart = Tree | TextFile


def context_size(parts: tuple[ContextPart, ...]) -> int:
    """Return the bytes of all files that come from folders."""
    trees = (part for part in parts if isinstance(part, Tree))
    return sum(path.lstat().st_size for tree in trees for _, path in tree.files())


def write_context(
    parts: tuple[ContextPart, ...], sink: IO[bytes], advance: Callable[[int], None] = lambda _: None
) -> None:
    """Write the context into `sink` as a tar: sorted, fixed times, root's, no machine's names.

    `advance` hears the bytes of each file that came from a folder.
    """
    with tarfile.open(mode="w|", fileobj=sink, bufsize=_COPY_BYTES) as tar:
        made: set[str] = set()
        for part in sorted(parts, key=lambda part: part.place):
            if isinstance(part, TextFile):
                _add_folders(tar, made, str(Path(part.place).parent))
                data = part.content.encode()
                info = _info(part.place, 0o755 if part.executable else 0o644)
                info.size = len(data)
                tar.addfile(info, BytesIO(data))
            else:
                _add_tree(tar, made, part, advance)


def _add_tree(tar: tarfile.TarFile, made: set[str], tree: Tree, advance: Callable[[int], None]) -> None:
    _add_folders(tar, made, tree.place)
    for place, path in _placed(tree):
        advance(_add(tar, made, place, path))


def _placed(tree: Tree) -> list[tuple[str, Path]]:
    if tree.folder is None:
        return []
    rules = dict(tree.rename)
    found = []
    for path in _walk(tree.folder, tree.leave_out):
        relative = path.relative_to(tree.folder).as_posix()
        first = relative.split("/", 1)[0]
        prefix = rules[first] if first in rules else rules.get("", "") + first
        found.append((f"{tree.place}/{prefix}{relative.removeprefix(first)}", path))
    return sorted(found)


def _walk(folder: Path, leave_out: tuple[str, ...]) -> list[Path]:
    found = []
    for path in folder.iterdir():
        if any(fnmatchcase(path.name, pattern) for pattern in leave_out):
            continue
        found.append(path)
        if path.is_dir() and not path.is_symlink():
            found.extend(_walk(path, leave_out))
    return found


def _add(tar: tarfile.TarFile, made: set[str], place: str, path: Path) -> int:
    if path.is_symlink():
        _add_folders(tar, made, str(Path(place).parent))
        info = _info(place, 0o777)
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
        tar.addfile(info)
    elif path.is_dir():
        _add_folders(tar, made, place)
    else:
        _add_folders(tar, made, str(Path(place).parent))
        status = path.stat()
        info = _info(place, 0o755 if status.st_mode & 0o100 else 0o644)
        info.size = status.st_size
        with path.open("rb") as file:
            tar.addfile(info, file)
        return status.st_size
    return 0


def _add_folders(tar: tarfile.TarFile, made: set[str], place: str) -> None:
    if place in ("", ".") or place in made:
        return
    _add_folders(tar, made, str(Path(place).parent))
    info = _info(place, 0o755)
    info.type = tarfile.DIRTYPE
    tar.addfile(info)
    made.add(place)


def _info(place: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(place)
    info.mtime, info.mode = MTIME, mode
    return info
