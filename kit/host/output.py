"""What a host says, taken in without letting it say too much. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_LIMIT = 16 << 20
"""Most bytes of one line."""
CAPTURE_LIMIT = 64 << 20
"""Most bytes of an answer that is kept as a whole."""
ERRORS_LIMIT = 256 << 10
"""Most bytes kept of what a command writes to its standard error."""


def _too_much(host: str, limit: int, what: str) -> TransferError:
    return TransferError(
        f"{what} of more than {limit >> 20} MiB; kit stopped listening",
        where=host,
        fix=f"see what runs on {host}: a command that kit started there does not behave",
    )


class Capture:
    """Keeps an answer; raises TransferError when there is more than `limit` bytes of it."""

    def __init__(self, host: str, limit: int = CAPTURE_LIMIT) -> None:
        self._host = host
        self._limit = limit
        self._data = bytearray()

    def __call__(self, chunk: bytes) -> None:
        """Take in more of it."""
        if len(self._data) + len(chunk) > self._limit:
            raise _too_much(self._host, self._limit, "an answer")
        self._data += chunk

    @property
    def data(self) -> bytes:
        """What came so far."""
        return bytes(self._data)


class Ending:
    """Keeps the last `limit` bytes."""

    def __init__(self, limit: int = ERRORS_LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()

    def __call__(self, chunk: bytes) -> None:
        """Take in more; what is too old is forgotten."""
        self._data += chunk
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]

    @property
    def data(self) -> bytes:
        """The end of what came so far."""
        return bytes(self._data[-self._limit :])


class Lines:
    """Cuts output into lines, without their newline.

    Raises TransferError when one has more than `limit` bytes.
    """

    def __init__(self, host: str, on_line: Callable[[bytes], None], limit: int = LINE_LIMIT) -> None:
        self._host = host
        self._on_line = on_line
        self._limit = limit
        self._rest = bytearray()

    def __call__(self, chunk: bytes) -> None:
        """Take in more, and hand on the lines that are complete."""
        first, *others = chunk.split(b"\n")
        self._rest += first
        for piece in others:
            line, self._rest = bytes(self._rest), bytearray(piece)
            self._check(len(line))
            self._on_line(line)
        self._check(len(self._rest))

    def _check(self, length: int) -> None:
        if length > self._limit:
            raise _too_much(self._host, self._limit, "a line")

    def end(self) -> None:
        """Hand on a last line that has no newline."""
        if self._rest:
            line, self._rest = bytes(self._rest), bytearray()
            self._on_line(line)
