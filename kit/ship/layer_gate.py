"""Holding layers back until the engine has unpacked those below.

A classic store spools every layer that it downloads until its turn comes: gigabytes beside the
unpacked ones. Served two at a time, at most two are spooled.
"""

from __future__ import annotations

import threading

AHEAD = 2
"""Layers that may be under way at once."""
PATIENCE = 600.0
"""Seconds after which a layer is served all the same: waste is better than waiting forever."""
_SHORT = 12


class LayerGate:
    """Knows which layers are unpacked, and makes the others wait."""

    def __init__(self, order: tuple[str, ...], ahead: int = AHEAD, patience: float = PATIENCE) -> None:
        self._places = {digest: place for place, digest in enumerate(order)}
        self._short = {digest.removeprefix("sha256:")[:_SHORT]: digest for digest in order}
        self._ahead = ahead
        self._patience = patience
        self._done: set[str] = set()
        self._changed = threading.Condition()

    def finished(self, short_id: str) -> None:
        """Take note that the engine has a layer; `short_id` is its digest as engines abbreviate it."""
        with self._changed:
            self._done.add(self._short.get(short_id, short_id))
            self._changed.notify_all()

    def _may_go(self, digest: str) -> bool:
        place = self._places.get(digest, 0)
        before = [other for other, at in self._places.items() if at < place]
        return sum(other not in self._done for other in before) < self._ahead

    def wait(self, digest: str) -> None:
        """Return when the layer may be served."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_go(digest), self._patience)


class OpenGate(LayerGate):
    """Holds nothing back."""

    def __init__(self) -> None:
        super().__init__(())
