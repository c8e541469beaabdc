"""The lines that a lane answers with, taken in without letting it say too much. Pure."""

from __future__ import annotations

from kit.errors import TransferError

LINE_LIMIT = 64 << 10
"""Most bytes of one line; an answer has some 100."""


class LaneLines:
    """Cuts output into lines."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._data = bytearray()
        self._ended = False

    def add(self, chunk: bytes) -> None:
        """Take in more; nothing is the end."""
        self._data += chunk
        self._ended = self._ended or not chunk

    def next(self) -> bytes | None:
        """Return the next line that says something, `b""` at the end, None when more must come first.

        A last line without its newline was cut off and is none. Raises TransferError when one is too long.
        """
        while (end := self._data.find(b"\n")) >= 0:
            line = bytes(self._data[:end])
            del self._data[: end + 1]
            if line:
                return line
        if len(self._data) > LINE_LIMIT:
            raise TransferError(
                f"a line of more than {LINE_LIMIT >> 10} KiB; kit stopped listening",
                where=self._where,
                fix=f"see what its login shell prints: ssh {self._where} true",
            )
        return b"" if self._ended else None
