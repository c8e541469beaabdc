"""Holding layers back until the engine has unpacked those below.

A classic store spools every layer that it downloads until its turn comes: gigabytes beside the
unpacked ones. Here no more bytes of them are under way at once than there is to be room for.

It asks for several at a time, and unpacks one after the other, lowest first. They are served in that
order, one at a time: else it would begin to unpack only when all that it asked for first are there.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 600.0
"""Seconds without a word from the engine, though it got all layers below, after which one is served
all the same: waste is better than waiting forever."""
LULL = 2.0
"""Seconds without a byte of a layer after which those above need not wait for it any more."""
_SHORT = 12


class LayerGate:
    """Knows which layers are unpacked, and makes the others wait."""

    def __init__(
        self, sizes: Mapping[str, int], limit: int, patience: float = PATIENCE, lull: float = LULL
    ) -> None:
        """`sizes` gives what each layer takes in the spool, lowest first; `limit` is for all of them."""
        self._sizes = dict(sizes)
        self._short = {digest.removeprefix("sha256:")[:_SHORT]: digest for digest in sizes}
        self._limit = limit
        self._patience = patience
        self._lull = lull
        self._moved: dict[str, float] = {}
        """When bytes last went out, of layers that have not gone out whole."""
        self._passed: set[str] = set()
        self._done: set[str] = set()
        self._ended = False
        self._changed = threading.Condition()

    def finished(self, short_id: str) -> None:
        """Take note that the engine has a layer; `short_id` is its digest as engines abbreviate it."""
        with self._changed:
            self._done.add(self._short.get(short_id, short_id))
            self._changed.notify_all()

    def passed(self, digest: str) -> None:
        """Take note that all bytes of a layer went out."""
        with self._changed:
            self._passed.add(digest)
            self._moved.pop(digest, None)
            self._changed.notify_all()

    def end(self) -> None:
        """Let everything go: nobody pulls any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _below(self, digest: str) -> tuple[str, ...]:
        order = tuple(self._sizes)
        return order[: order.index(digest)]

    def _has_room(self, digest: str, count: int) -> bool:
        # Those below come whole, however much of them is out by now: nothing above may take their room.
        spooled = [self._sizes[other] for other in self._below(digest) if other not in self._done]
        return self._ended or not spooled or sum(spooled) + count <= self._limit

    def _is_next(self, digest: str) -> bool:
        """Tell whether nothing below is going out; what stands still, for whatever reason, does not count."""
        since = time.monotonic() - self._lull
        moving = {other for other, moved in self._moved.items() if moved >= since}
        return self._ended or moving.isdisjoint(self._below(digest))

    def wait(self, digest: str, count: int = 1) -> None:
        """Return when the first `count` bytes of a layer may be served; at once for what is no layer."""
        if not self._sizes.get(digest):
            return
        with self._changed:
            while not self._has_room(digest, count):
                heard = self._changed.wait(self._patience)
                if not heard and self._passed.issuperset(self._below(digest)):
                    break
            while not self._is_next(digest):
                self._changed.wait(self._lull)
            self._moved[digest] = time.monotonic()
