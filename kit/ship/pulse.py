"""Signs of life of a host's agent, which tell one that works for long from one that is frozen.

The agent gives one every few seconds, from a thread of its own: hashing, waiting for a lock and an engine
that loads are silent else. The sender gives up an agent that gave them and has gone silent; one of an older
kit, which never gives any, it waits for.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BEAT = 10.0
"""Seconds between two signs of life."""
SILENCE = 60.0
"""Seconds of silence after which an agent is given up: an engine or a disk may stand still for a while."""
EVENT = "alive"


@contextmanager
def beating(emit: Callable[[dict[str, Any]], None], every: float = BEAT) -> Iterator[None]:
    """Give signs of life as long as the context lasts; none after it."""
    ended = threading.Event()

    def beat() -> None:
        try:
            emit({"event": EVENT})
            while not ended.wait(every):
                emit({"event": EVENT})
        except (OSError, ValueError):
            return  # Nobody listens any more, which whoever waits for the sender's words is told too.

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class PulseWatch:
    """Watches on the sender over one agent's signs of life."""

    def __init__(self, lost: Callable[[float], None], silence: float | None = None) -> None:
        """`lost` hears, once and from another thread, of how many seconds nothing came."""
        self._lost = lost
        self._silence = SILENCE if silence is None else silence
        self._last = math.inf
        self._ended = threading.Event()
        self._begun = False

    @contextmanager
    def hearing(self, event: Mapping[str, Any]) -> Iterator[None]:
        """Take note of an event while it is dealt with: as long as that takes, nothing more can be heard."""
        self._last = math.inf
        try:
            if event.get("event") == EVENT and not self._begun:
                self._begun = True
                threading.Thread(target=self._watch, daemon=True).start()
            yield
        finally:
            self._last = time.monotonic()

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(self._silence / 30):
            silent = time.monotonic() - self._last
            if silent > self._silence:
                self._lost(silent)
                return
