"""How far away a host is, in time: asked of its sshd over the connection that is there."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import paramiko

PATIENCE = 2.0
"""Seconds for all answers together."""
_QUESTION = "keepalive@openssh.com"
"""What ssh asks with ServerAliveInterval; a server that does not know it says so (RFC 4254, 4)."""
_TRIES = 3
_NEAR = 0.01
"""Seconds below which another question would tell nothing new."""


def round_trip(transport: paramiko.Transport) -> float:
    """Return seconds there and back: of the quickest answer, since a machine that is busy delays some.

    PATIENCE where nothing answers; a connection that is lost is found by whoever uses it next.
    """
    found: list[float] = []

    def ask() -> None:
        with suppress(OSError, EOFError):
            while len(found) < _TRIES and min(found, default=PATIENCE) >= _NEAR:
                started = time.monotonic()
                transport.global_request(_QUESTION, wait=True)
                found.append(time.monotonic() - started)

    # paramiko would wait without end for a server that says nothing.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return min(tuple(found), default=PATIENCE)
