"""One lane at work: it takes records, and hears which of them lie on the host."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import KitError, TransferError, UnreachableError
from kit.ship.lanes.script import Record, check_ack

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.host.port import Lane
    from kit.ship.lanes.feed import Feed

_AGAIN = "run kit ship again; it goes on where it stopped"


@dataclass(frozen=True, slots=True)
class Heard:
    """Who hears of what lanes do, from any thread."""

    sent: Callable[[int], None]
    """Of bytes that left."""
    wrote: Callable[[Record], None]
    """Of records that lie on the host."""
    note: Callable[[str], None]
    """Of what the user should know."""


class Carrier:
    """Carries records over one lane that is open."""

    def __init__(self, host: str, lane: Lane, feed: Feed, heard: Heard) -> None:
        self._host = host
        self._lane = lane
        self._feed = feed
        self._heard = heard
        self.under_way: deque[Record] = deque()
        """Written, or begun to be, and not acknowledged; the oldest first."""
        self.rate = 0.0
        """Bytes a second that the last record left at."""
        self.retired = False
        """It ends because there are too many lanes, not because there is nothing left."""
        self.forsaken = False
        """It was ended because what it carried need not arrive any more."""
        self._failure: KitError | None = None

    def carry(self, take: Callable[[Carrier], Record | None]) -> None:
        """Carry what `take` gives until it gives nothing; then end the lane.

        Raises UnreachableError when the lane is lost, what reading the bundle raises, and TransferError for
        an answer that is none. What is left `under_way` then may have to be sent again.
        """
        hearing = threading.Thread(target=self._hear, daemon=True)
        hearing.start()
        try:
            while record := take(self):
                self.under_way.append(record)
                self._write(record)
            done = self._lane.finish()
            hearing.join()
        except BaseException:
            self._lane.abort()
            hearing.join()
            # An answer that is none ends the lane; the write that fails then is not what went wrong.
            if self._failure is not None and not isinstance(self._failure, UnreachableError):
                raise self._failure from None
            raise
        if self._failure is not None:
            raise self._failure
        if self.under_way:
            why = done.stderr.decode("utf-8", "replace").strip()[-400:] or f"status {done.status}"
            raise UnreachableError("a lane was closed", where=self._host, why=why, fix=_AGAIN)

    def forsake(self) -> None:
        """End the lane, though it carries something."""
        if not self.forsaken:
            self.forsaken = True
            threading.Thread(target=self._lane.abort, daemon=True).start()  # May wait for a process.

    def _write(self, record: Record) -> None:
        started = time.monotonic()
        self._lane.write(record.header)
        self._feed.give(self._lane, record, self._heard.sent)
        self.rate = record.length / max(time.monotonic() - started, 1e-6)

    def _hear(self) -> None:
        try:
            while line := self._lane.read_line():
                if not self.under_way:
                    raise TransferError(
                        "an answer that kit did not ask for", where=self._host, why=repr(line[:80])
                    )
                check_ack(line, self.under_way[0], self._host)
                self._heard.wrote(self.under_way.popleft())
        except KitError as error:
            self._failure = error
            self._lane.abort()
