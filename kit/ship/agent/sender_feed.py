"""On a host: bringing what an intake needs, from the sender's lanes and from other hosts of a chain."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.ship.chain.relay import Relay
from kit.ship.control import Control

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.ship.agent.intake import Intake
    from kit.ship.control import Lines

    Emit = Callable[[dict[str, Any]], None]


PATIENCE = 45.0
"""Seconds for the sender's first word; it is gone when it says none."""


class SenderFeed:
    """Asks the sender for what is missing until nothing is; passes it on for as long as the sender says."""

    def __init__(self, lines: Lines, emit: Emit) -> None:
        self._lines = lines
        self._emit = emit
        self._sent = threading.Semaphore(0)
        self._placed = threading.Event()
        self._released = threading.Event()
        self._relay: Relay | None = None

    def __call__(self, intake: Intake) -> None:
        """Return when everything is here. Raises what ends the intake."""
        self._relay = relay = Relay(intake, intake.blobs, self._emit)

        def wrote(said: dict[str, Any]) -> None:
            intake.wrote(str(said["blob"]), int(said["start"]), int(said["stop"]))

        def lost(error: KitError) -> None:
            intake.end(error)
            self._placed.set()
            self._released.set()

        def join(said: dict[str, Any]) -> None:
            relay.join(said)
            self._placed.set()

        handlers = {
            "wrote": wrote,
            "sent": lambda _: self._sent.release(),
            "release": lambda _: self._released.set(),
            **relay.handlers,
            "join": join,
            "alone": lambda _: self._placed.set(),
        }
        intake.on_end(self._sent.release)
        Control(self._lines, handlers, lost).start()
        # The first thing that the sender says is whether there are other hosts.
        self._placed.wait(PATIENCE)
        intake.settle()
        self._ask(intake)
        if relay.joined:
            self._emit(relay.pulse())
            self._emit({"event": "whole"})

    def _ask(self, intake: Intake) -> None:
        turn = 0
        # What comes from other hosts comes without the sender's word that it was sent.
        threading.Thread(target=self._watch, args=(intake,), daemon=True).start()
        while need := intake.need():
            self._emit({"event": "need", "round": turn, "blobs": need})
            self._sent.acquire()
            intake.settle()
            turn += 1

    def _watch(self, intake: Intake) -> None:
        with suppress(KitError):
            for blob in intake.blobs:
                intake.wait(blob.blob.digest)
        self._sent.release()

    def linger(self) -> None:
        """Return when no other host needs this one any more."""
        if self._relay is not None and self._relay.joined:
            self._emit({"event": "lingers"})
            self._released.wait()

    def close(self) -> None:
        """Pass nothing on any more."""
        if self._relay is not None:
            self._relay.close()
