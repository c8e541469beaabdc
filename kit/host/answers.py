"""What a script on a host answered: lines `kit:KEY VALUE`, in bounds. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kit.errors import TransferError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_LIMIT = 300_000
"""Most lines of an answer that count: a blob or an image each."""
VALUE_LIMIT = 1 << 16
"""Most characters of a value; /proc and docker say far less."""
_MARKED = re.compile(rb"^kit:(.*)", re.MULTILINE)
_NUMBER = re.compile(r"[0-9]{1,18}")


def marked_lines(host: str, answer: bytes) -> Iterator[bytes]:
    """Yield the lines of an answer that count, without their mark.

    Raises TransferError when there are more than any host has reason to give.
    """
    for count, line in enumerate(_MARKED.finditer(answer)):
        if count == LINES_LIMIT:
            raise TransferError(
                f"an answer of more than {LINES_LIMIT} lines", where=host, fix=f"see what runs on {host}"
            )
        yield line[1]


def number_in(text: str) -> int | None:
    """Return a number of at most 18 digits; None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None


class Answers:
    """Answers by their keys."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._values: dict[str, list[str]] = {}

    def add(self, line: bytes) -> None:
        """Take one line without its mark; one that is too long to be true is passed over."""
        if len(line) <= VALUE_LIMIT:
            key, _, value = line.decode("utf-8", "replace").partition(" ")
            self._values.setdefault(key, []).append(value.strip())

    def text(self, key: str) -> str:
        """Return an answer; empty when there is none."""
        return self._values.get(key, [""])[0]

    def all(self, key: str) -> list[str]:
        """Return every answer with that key."""
        return self._values.get(key, [])

    def number(self, key: str) -> int:
        """Return an answer that must be a number. Raises UnreachableError."""
        found = number_in(self.text(key))
        if found is None:
            value = self.text(key)
            raise UnreachableError(
                f"its answer has no {key}",
                where=self._host,
                why=f"it said {value[:80]!r}" if value else "a POSIX shell and coreutils are needed there",
                fix=f"try: ssh {self._host} sh -c 'id -u; df -Pk /'",
            )
        return found

    def optional(self, key: str) -> int | None:
        """Return an answer that may be missing."""
        return number_in(self.text(key))
