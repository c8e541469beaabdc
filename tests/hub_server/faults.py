"""Ways in which a hub fails a request for a file. Each stands for one request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """An HTTP status in place of the file."""

    status: int
    retry_after: str = ""


@dataclass(frozen=True)
class Cut:
    """The connection dies after so many bytes of the body; `reset`: with a TCP reset."""

    after: int
    reset: bool = False


@dataclass(frozen=True)
class Short:
    """A whole answer in HTTP's terms that holds only the file's first bytes."""

    length: int


@dataclass(frozen=True)
class Wrong:
    """Bytes of the right length that are not the file's."""


@dataclass(frozen=True)
class Longer:
    """The file, and bytes after it, with no word on the length."""


@dataclass(frozen=True)
class Slow:
    """A few bytes, then a byte now and then, or (`silent`) nothing for a long time."""

    after: int
    silent: bool = False


@dataclass(frozen=True)
class NoRange:
    """The whole file, whatever part was asked for."""


@dataclass(frozen=True)
class Zipped:
    """The file compressed, though nobody asked for it."""


Fault = Status | Cut | Short | Wrong | Longer | Slow | NoRange | Zipped
