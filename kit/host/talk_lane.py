"""A lane over any `Talk`: a command that is fed from one thread and heard from another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kit.errors import TransferError, UnreachableError
from kit.host.lane_lines import LaneLines
from kit.host.output import Ending
from kit.host.port import Completed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.host.exchange import Talk

_READ = 1 << 20
_ERRORS = 8 << 10


def _nothing() -> None:
    pass


class TalkLane:
    """A command, behind the Lane protocol."""

    def __init__(self, host: str, talk: Talk, on_end: Callable[[], None] = _nothing) -> None:
        """`on_end` is called when it has ended, or was."""
        self._host = host
        self._talk = talk
        self._on_end = on_end
        self._lines = LaneLines(host)
        self._errors = Ending(_ERRORS)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        try:
            while chunk := self._talk.read(errors=True):
                self._errors(chunk)
        except (UnreachableError, OSError, ValueError):
            return

    def write(self, data: bytes) -> None:
        """Feed it bytes. Raises UnreachableError when it takes no more."""
        if not self._talk.write(data):
            why = self._errors.data.decode("utf-8", "replace").strip()[-400:]
            raise UnreachableError("a lane was closed", where=self._host, why=why, fix="run kit ship again")

    def send_file(self, path: Path, offset: int, length: int) -> int:
        """Feed it bytes of a file; return how many there were."""
        left = length
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(offset)
                while left and (piece := file.read(min(left, _READ))):
                    self.write(piece)
                    left -= len(piece)
        except OSError as error:
            raise TransferError(
                "cannot be read", where=str(path), why=error.strerror or str(error)
            ) from error
        return length - left

    def read_line(self) -> bytes:
        """Return the next line; none at the end. Raises UnreachableError, TransferError."""
        while (line := self._lines.next()) is None:
            self._lines.add(self._talk.read(errors=False))
        return line

    def finish(self) -> Completed:
        """End its input, and wait for it."""
        try:
            self._talk.finish_writing()
            self._listener.join()
            return Completed(self._talk.wait(), b"", self._errors.data)
        finally:
            self._on_end()

    def abort(self) -> None:
        """End it from this side."""
        self._talk.abort()
        self._on_end()
