"""Sending what a host needs over several connections at once: more of them while that pays."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from kit.errors import KitError, TransferError, UnreachableError
from kit.ship.lanes.carrier import Carrier, Heard
from kit.ship.lanes.count import record_size
from kit.ship.lanes.growth import Growth
from kit.ship.lanes.script import Record, lane_argv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.host.facts import HostFacts
    from kit.host.port import Host, Lane
    from kit.ship.lanes.feed import Feed

LOSSES = 3
"""Lanes that may be lost in a row, with no record that arrived between, before it is given up."""
_TICK = 0.25
"""Seconds between two looks at how it goes."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where lanes lead."""

    host: Host
    root: str
    cores: int
    """Processors of the weaker side."""
    aes: bool
    """The host's processor has AES instructions."""
    round_trip: float
    """Seconds there and back."""


def destination(host: Host, root: str, facts: HostFacts) -> Destination:
    """Return where lanes to a host lead."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Destination(host, root, min(here, facts.cores), facts.aes, host.round_trip())


class Queue(Protocol):
    """What is to be sent. Called from any thread."""

    @property
    def left(self) -> int:
        """Bytes that no lane has taken; 0 when there is nothing to take."""

    def take(self, most: int) -> Record | None:
        """Return a record of about so many bytes at most; None when there is nothing to take."""

    def give_back(self, records: Iterable[Record]) -> None:
        """Take records back that did not arrive."""

    def is_due(self, record: Record) -> bool:
        """Tell whether a record that was taken must still arrive."""


class Lanes:
    """The way of one host's blobs: a few lanes, for as long as there is something to send."""

    def __init__(self, to: Destination, feed: Feed, heard: Heard) -> None:
        self._to = to
        self._feed = feed
        self._heard = heard
        self._crew: _Crew | None = None
        self._ended = False

    def send(self, queue: Queue) -> None:
        """Return when every record lies on the host. One call at a time.

        Raises what reading the bundle raises, and UnreachableError or TransferError when lanes are lost, time
        after time.
        """
        self._crew = _Crew(self._to, self._feed, self._heard, queue)
        if self._ended:
            self._crew.abort()
        self._crew.work()

    def abort(self) -> None:
        """End every lane; `send` raises."""
        self._ended = True
        if self._crew is not None:
            self._crew.abort()


class _Crew:
    """The lanes of one round, each with a thread of its own."""

    def __init__(self, to: Destination, feed: Feed, heard: Heard, queue: Queue) -> None:
        self._to = to
        self._feed = feed
        self._outer = heard
        self._heard = replace(heard, sent=self._count, wrote=self._arrived)
        self._queue = queue
        self._growth = Growth(to.cores, queue.left, to.round_trip)
        self._changed = threading.Condition()
        self._opening = 0
        self._retiring = 0
        self._lanes: set[Lane] = set()
        self._carriers: set[Carrier] = set()
        self._under_way = 0
        self._sent = 0
        self._lost = 0
        self._failure: KitError | None = None
        self._over = False

    def work(self) -> None:
        """Have lanes until there is nothing left to carry."""
        with self._changed:
            while not self._over and (self._under_way or (self._queue.left and self._may_go_on())):
                self._end_forsaken()
                self._growth.look(time.monotonic(), len(self._lanes), self._sent, self._queue.left)
                self._start_missing()
                self._changed.wait(_TICK)
            over, self._over = self._over, True
        if over or self._queue.left:
            raise self._failure or TransferError("sending was stopped", where=self._to.host.name)

    def abort(self, error: KitError | None = None) -> None:
        """End every lane."""
        with self._changed:
            self._failure = error if error is not None and not self._over else self._failure
            self._over = True
            lanes = tuple(self._lanes)
            self._changed.notify_all()
        for lane in lanes:
            lane.abort()

    def _end_forsaken(self) -> None:
        """End lanes with nothing under way but what somebody else gives the host by now."""
        for carrier in self._carriers:
            records = tuple(carrier.under_way)
            if records and not any(map(self._queue.is_due, records)):
                carrier.forsake()

    def _may_go_on(self) -> bool:
        return bool(self._lanes) or self._lost < LOSSES

    def _start_missing(self) -> None:
        if not self._queue.left or self._lost >= LOSSES:
            return
        for _ in range(self._growth.target - len(self._lanes) - self._opening):
            self._opening += 1
            threading.Thread(target=self._guarded, daemon=True).start()

    def _guarded(self) -> None:
        try:
            lane = self._open()
            if lane is not None:
                self._carry(lane)
        except BaseException as failure:  # noqa: BLE001 - the thread's end; whoever waits must hear of it
            self.abort(TransferError("sending failed", where=self._to.host.name, why=repr(failure)))

    def _open(self) -> Lane | None:
        to, lane = self._to, None
        try:
            lane = to.host.open_lane(lane_argv(to.root), aes=to.aes, note=self._outer.note)
        except UnreachableError as error:
            self._not_opened(error)
        except KitError as error:
            self.abort(error)
        with self._changed:
            self._opening -= 1
            if lane is not None and not self._over:
                self._lanes.add(lane)
                return lane
            self._changed.notify_all()
        if lane is not None:
            lane.abort()
        return None

    def _not_opened(self, error: UnreachableError) -> None:
        with self._changed:
            if self._lanes:
                # Those that are open go on; the host takes no more beside them.
                self._growth.stop(len(self._lanes))
            else:
                self._lost += 1
                self._failure = error

    def _carry(self, lane: Lane) -> None:
        carrier = Carrier(self._to.host.name, lane, self._feed, self._heard)
        with self._changed:
            self._carriers.add(carrier)
        try:
            carrier.carry(self._take)
        except UnreachableError as error:
            with self._changed:
                self._lost += not carrier.forsaken
                self._failure = error
        except KitError as error:
            self.abort(error)
        finally:
            with self._changed:
                self._queue.give_back(carrier.under_way)
                self._under_way -= len(carrier.under_way)
                self._lanes.discard(lane)
                self._carriers.discard(carrier)
                self._retiring = max(self._retiring - 1, 0) if carrier.retired else self._retiring
                self._changed.notify_all()

    def _take(self, carrier: Carrier) -> Record | None:
        """Return what a lane carries next; None lets it end."""
        with self._changed:
            lanes = len(self._lanes) - self._retiring
            if self._over:
                return None
            if lanes > self._growth.target:
                self._retiring += 1
                carrier.retired = True
                return None
            record = self._queue.take(record_size(carrier.rate, lanes, self._queue.left))
            self._under_way += record is not None
            return record

    def _count(self, size: int) -> None:
        with self._changed:
            self._sent += size
        self._outer.sent(size)

    def _arrived(self, record: Record) -> None:
        try:
            self._outer.wrote(record)
        finally:
            with self._changed:
                self._lost = 0
                self._under_way -= 1
                if not self._under_way:
                    self._changed.notify_all()
