"""Sending records to a host over several connections at once, each acknowledged when it is written there."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from kit.errors import KitError, TransferError, UnreachableError, VerificationError
from kit.ship.lane_script import Record, check_ack, lane_argv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.source import BundleSource
    from kit.host.port import Host, Lane

COUNT = 2
"""Connections at a time."""
_AGAIN = "run kit ship again; it goes on where it stopped"


class _Records:
    """The records still to send; what a lost lane did not finish goes to the others."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._fresh: Iterator[Record] = iter(records)
        self._back: deque[Record] = deque()
        self._lock = threading.Lock()

    def take(self) -> Record | None:
        with self._lock:
            return self._back.popleft() if self._back else next(self._fresh, None)

    def give_back(self, records: Iterable[Record]) -> None:
        with self._lock:
            self._back.extend(records)


class Lanes:
    """The way of one host's blobs: a few lanes, for as long as there is something to send."""

    def __init__(
        self,
        host: Host,
        root: str,
        source: BundleSource,
        on_bytes: Callable[[int], None],
        on_wrote: Callable[[Record], None],
    ) -> None:
        """`on_bytes` hears of bytes that left, `on_wrote` of records that lie there; from any thread."""
        self._host = host
        self._argv = lane_argv(root)
        self._source = source
        self._on_bytes = on_bytes
        self._on_wrote = on_wrote
        self._open: set[Lane] = set()
        self._lock = threading.Lock()
        self._failures: list[KitError] = []
        self._ended = False

    def send(self, records: Iterable[Record]) -> None:
        """Return when every record lies on the host.

        Raises what reading the bundle raises, and UnreachableError or TransferError when no lane is left.
        """
        left = _Records(records)
        threads = [threading.Thread(target=self._carry, args=(left,), daemon=True) for _ in range(COUNT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._ended or left.take() is not None:
            raise self._failures[0] if self._failures else TransferError("sending was stopped")

    def abort(self) -> None:
        """End every lane; `send` raises."""
        with self._lock:
            self._ended = True
            lanes = tuple(self._open)
        for lane in lanes:
            lane.abort()

    def _carry(self, left: _Records) -> None:
        under_way: deque[Record] = deque()
        try:
            self._carry_all(left, under_way)
        except UnreachableError as error:
            self._failures.append(error)  # The other lanes go on.
        except KitError as error:
            self._give_up(error)
        except BaseException as failure:  # noqa: BLE001 - the thread's end; whoever waits must hear of it
            self._give_up(TransferError("sending failed", where=self._host.name, why=repr(failure)))
        left.give_back(under_way)

    def _give_up(self, error: KitError) -> None:
        self._failures.insert(0, error)
        self.abort()

    def _carry_all(self, left: _Records, under_way: deque[Record]) -> None:
        record = left.take()
        if record is None:
            return
        under_way.append(record)
        lane = self._host.open_lane(self._argv)
        with self._lock:
            self._open.add(lane)
        hearing = _Hearing(lane, under_way, self._on_wrote, self._host.name)
        try:
            hearing.start()
            while record is not None and not self._ended:
                self._write(lane, record)
                record = left.take()
                if record is not None:
                    under_way.append(record)
            done = lane.finish()
            hearing.join()
        except BaseException:
            lane.abort()
            raise
        finally:
            with self._lock:
                self._open.discard(lane)
        if hearing.failure is not None:
            raise hearing.failure
        if under_way:
            why = done.stderr.decode("utf-8", "replace").strip()[-400:] or f"status {done.status}"
            raise UnreachableError("a lane was closed", where=self._host.name, why=why, fix=_AGAIN)

    def _write(self, lane: Lane, record: Record) -> None:
        lane.write(record.header)
        left = record.length
        for chunk in self._source.read_range(record.digest, record.offset, record.length):
            lane.write(chunk)
            left -= len(chunk)
            self._on_bytes(len(chunk))
        if left:
            # The host waits for the rest; nothing but the end of the lane can tell it that none comes.
            raise VerificationError(
                f"{record.digest} ends early", where=self._source.where, why=f"{left} bytes are missing"
            )


class _Hearing(threading.Thread):
    """Hears what a lane says of the records that were written into it."""

    def __init__(
        self, lane: Lane, under_way: deque[Record], on_wrote: Callable[[Record], None], host: str
    ) -> None:
        super().__init__(daemon=True)
        self._lane = lane
        self._under_way = under_way
        self._on_wrote = on_wrote
        self._host = host
        self.failure: KitError | None = None

    def run(self) -> None:
        try:
            while line := self._lane.read_line():
                if not self._under_way:
                    raise TransferError(
                        "an answer that kit did not ask for", where=self._host, why=repr(line[:80])
                    )
                check_ack(line, self._under_way[0], self._host)
                self._on_wrote(self._under_way.popleft())
        except KitError as error:
            self.failure = error
            self._lane.abort()
