"""The sender's side of one talk with a host's agent: it asks for frames, and lanes carry them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, TransferError, UnreachableError
from kit.ship.chain.place import ALONE
from kit.ship.control import ControlLines
from kit.ship.framed import bytes_of, framed_blob, needed_items
from kit.ship.lanes.carrier import Heard
from kit.ship.lanes.feed import BundleFeed
from kit.ship.lanes.lanes import Lanes
from kit.ship.lanes.record_queue import RecordQueue
from kit.ship.needed_frames import Asked, parse_need
from kit.ship.pulse import PulseWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from kit.bundle.manifest import Blob
    from kit.bundle.source import BundleSource
    from kit.ship.chain.place import Place
    from kit.ship.framed import FramedBlob, FrameRanges
    from kit.ship.lanes.lanes import Destination
    from kit.ship.lanes.script import Record
    from kit.ship.plan import HostPlan

PATIENCE = 60.0
"""Seconds that lanes may take to end after the agent has."""


@dataclass(frozen=True, slots=True)
class News:
    """Who hears of how sending goes, from any thread."""

    sent: Callable[[int], None]
    """Of bytes that left."""
    needs: Callable[[int], None]
    """Of bytes that the host asks for, whoever gives them."""
    note: Callable[[str], None]
    """Of what the user should know."""


def _bytes(need: Mapping[str, FrameRanges], blobs: Mapping[str, FramedBlob]) -> int:
    return sum(bytes_of(blobs[digest], ranges) for digest, ranges in need.items())


class Sending:
    """Sends what an agent asks for. As a context it ends with the agent's call inside it.

    What went wrong in sending then takes the place of what the agent made of its sudden end.
    """

    def __init__(
        self,
        to: Destination,
        source: BundleSource,
        plan: HostPlan,
        news: News,
        place: Place = ALONE,
    ) -> None:
        self._news = news
        self._asked = Asked(to.host.name)
        self.control = ControlLines()
        self._host = to.host
        self._source = source
        self._plan = plan
        self._place = place
        self._lanes = Lanes(to, BundleFeed(source), Heard(self._count, self._wrote, news.note))
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.pulse = PulseWatch(self._lose)

    def begin(self, said: Any) -> None:
        """Send what the agent says that it needs, in a thread of its own."""
        # One round at a time: an agent asks again when it has all of the last one.
        if self._thread is not None:
            self._thread.join()
        self._thread = threading.Thread(target=self._run, args=(said,), daemon=True)
        self._thread.start()

    def _run(self, said: Any) -> None:
        try:
            blobs = self._blobs()
            need = parse_need(said, blobs, self._host.name)
            self._asked.turn()
            self._news.needs(_bytes(need, blobs))
            self._send(need, blobs)
            self.control.say("sent")
        except BaseException as failure:  # noqa: BLE001 - raised again where the talk ends
            self._failure = failure
            self.control.close()

    def _send(self, need: Mapping[str, FrameRanges], blobs: Mapping[str, FramedBlob]) -> None:
        """Send what no other host gives it; when that is nothing, wait until something is."""
        share = self._place.share(need)
        if not share:
            self._place.wait(need)
            return
        self._place.owes(self._asked.count(share, blobs))
        # Another host may take over on the way.
        self._lanes.send(RecordQueue(share, blobs, self._place.is_due))

    def _count(self, size: int) -> None:
        self._place.sent(size)
        self._news.sent(size)

    def give_up(self) -> None:
        """End the talk: its host says nothing more."""
        self._lose(None)

    def _lose(self, seconds: float | None) -> None:
        self._failure = TransferError(
            "its agent gives no sign of life any more",
            where=self._host.name,
            why=f"silent for {seconds:.0f} s" if seconds else "silent while other hosts wait for it",
            fix="see whether that host, its disk or its engine stands still, or whether its container is "
            "paused (docker ps); then run kit ship again, which goes on where it stopped",
        )
        self._host.close()

    def _blobs(self) -> dict[str, FramedBlob]:
        def read(index: Blob) -> bytes:
            return b"".join(self._source.read(index.digest))

        items = needed_items(self._plan.loads, self._plan.trees)
        return {digest: framed_blob(item, read) for digest, item in items.items()}

    def _wrote(self, record: Record) -> None:
        self.control.say("wrote", blob=record.digest, start=record.start, stop=record.stop)

    def __enter__(self) -> Sending:  # noqa: PYI034 - Self is in typing from 3.11 on
        self._place.enter(self.control.say, self.give_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        self._place.exit()
        self.pulse.end()
        failure = self._failure  # Before lanes are ended from here, which they tell of too.
        self._lanes.abort()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        # A host that is gone is told of by the call itself, if that failed too.
        if failure is None or (raised is not None and isinstance(failure, UnreachableError)):
            return
        if raised is None and isinstance(failure, KitError):
            return
        raise failure from raised
