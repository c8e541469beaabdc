"""How a file lies: one JSON array or a record a line, and what stands before it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_BOM = b"\xef\xbb\xbf"
_LOOK = 4096
_NOT_UTF8 = {
    b"\x1f\x8b": ("is compressed with gzip", "gunzip"),
    b"\xff\xfe": ("is UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8 -o NEW"),
    b"\xfe\xff": ("is UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8 -o NEW"),
    b"PK": ("is a zip archive", "unzip"),
    b"PAR1": (
        "is Parquet",
        "export it as JSONL, e.g. with pandas' to_json(lines=True, orient='records'), from",
    ),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A file as its first bytes show it."""

    path: Path
    size: int
    """In bytes."""
    start: int
    """Where the JSON begins, in bytes: after a byte order mark."""
    is_array: bool
    """One JSON array; otherwise a record a line."""

    @property
    def has_mark(self) -> bool:
        """Whether a byte order mark stands before it."""
        return self.start > 0


def look_at(path: Path) -> Layout:
    """Return how a file lies. Raises ConfigError when it cannot be read, is empty, or is no JSON in UTF-8."""
    try:
        with path.open("rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(_LOOK)
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), fix="name a .json or .jsonl file") from error
    except OSError as error:
        raise ConfigError("cannot be read", where=str(path), why=error.strerror or str(error)) from error
    for magic, (what, fix) in _NOT_UTF8.items():
        if head.startswith(magic):
            raise ConfigError(what, where=str(path), fix=f"{fix} {path}")
    start = len(_BOM) if head.startswith(_BOM) else 0
    text = head[start:].lstrip()
    if not text and size <= _LOOK:
        raise ConfigError("holds no record", where=str(path), fix="write one record a line, or a JSON array")
    return Layout(path, size, start, text.startswith(b"["))
