"""The control channel: what the sender tells kit's agent while it works, one JSON line each.

It says `alive` now and then, so that a cut line is not taken for a slow one, and the host's lock is
free again when the sender is gone.
"""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING, Any, Protocol

from kit.errors import KitError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LINE_LIMIT = 16 << 20
"""Most bytes of one line."""
ALIVE = 10.0
"""Seconds between two signs of life; a host gives a sender up after `patient_input.SILENCE`."""


class Lines(Protocol):
    """Where the sender's lines come from."""

    def readline(self, size: int, /) -> bytes:
        """Return a line of at most `size` bytes; none at the end."""


class Control(threading.Thread):
    """Reads the sender's lines on a host, and gives each to the handler of its `do`."""

    def __init__(
        self,
        lines: Lines,
        handlers: Mapping[str, Callable[[dict[str, Any]], None]],
        lost: Callable[[KitError], None],
    ) -> None:
        """`lost` hears why nothing more will come."""
        super().__init__(daemon=True)
        self._lines = lines
        self._handlers = handlers
        self._lost = lost

    def run(self) -> None:
        """Read until the sender is gone."""
        try:
            while line := self._lines.readline(LINE_LIMIT):
                self._take(line)
        except KitError as error:
            self._lost(error)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self._lost(TransferError("the sender said what kit does not understand", why=str(error)[:400]))
        else:
            self._lost(TransferError("the sender went away", fix="run kit ship again; what arrived is kept"))

    def _take(self, line: bytes) -> None:
        said = json.loads(line)
        if not isinstance(said, dict):
            raise TypeError(f"no object: {line[:80]!r}")
        if said.get("do") != "alive":
            self._handlers[said["do"]](said)


class ControlLines:
    """The sender's end: an iterable of lines to feed to the agent, until it is closed."""

    def __init__(self, alive: float = ALIVE) -> None:
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._alive = alive

    def say(self, do: str, **more: Any) -> None:
        """Tell the agent something."""
        self._queue.put(json.dumps({"do": do, **more}, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """End it; what was said before is still given."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                line = self._queue.get(timeout=self._alive)
            except queue.Empty:
                line = b'{"do":"alive"}\n'
            if line is None:
                return
            yield line
