"""Commands in memory, for what feeds and hears them."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress

from kit.errors import UnreachableError


class EchoTalk:
    """Answers each chunk with itself, through a pipe that holds few of them, as real pipes do."""

    def __init__(
        self, *, status: int = 0, errors: bytes = b"", takes: int | None = None, lost: bool = False
    ) -> None:
        self._pipe: queue.Queue[bytes] = queue.Queue(maxsize=2)
        self._errors = [errors] if errors else []
        self._status = status
        self._takes = takes
        self._lost = lost
        self.written: list[bytes] = []
        self.aborted = threading.Event()

    def write(self, chunk: bytes) -> bool:
        if self.aborted.is_set() or (self._takes is not None and len(self.written) >= self._takes):
            return False
        self.written.append(chunk)
        return self._put(chunk)

    def _put(self, chunk: bytes) -> bool:
        while not self.aborted.is_set():
            with suppress(queue.Full):
                self._pipe.put(chunk, timeout=0.05)
                return True
        return False

    def finish_writing(self) -> None:
        self._put(b"")

    def read(self, *, errors: bool) -> bytes:
        if errors:
            return self._errors.pop() if self._errors else b""
        while not self.aborted.is_set():
            with suppress(queue.Empty):
                return self._pipe.get(timeout=0.05)
        return b""

    def wait(self) -> int:
        if self._lost:
            raise UnreachableError("the connection was lost", where="gpu1")
        return self._status

    def abort(self) -> None:
        self.aborted.set()


class SilentTalk(EchoTalk):
    """Never says anything, nor ends."""

    def finish_writing(self) -> None:
        pass

    def wait(self) -> int:
        if self.aborted.is_set():
            raise UnreachableError("the connection was lost", where="gpu1")
        return 0
