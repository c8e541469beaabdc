"""Sending blobs while a host compares and loads kit's own image: the line would be idle meanwhile.

Nobody holds the host's lock at that time; `kit.ship.early` tells what follows from that.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kit.errors import KitError
from kit.ship.early import NOTHING_EARLY, Early, early_name, new_run
from kit.ship.framed import framed_blob, needed_items, ranges_of
from kit.ship.lanes.count import LARGEST_RECORD
from kit.ship.lanes.feed import BundleFeed
from kit.ship.lanes.lanes import Lanes
from kit.ship.lanes.record_queue import RecordQueue
from kit.ship.plan import MARGIN
from kit.ship.side_work import SideWork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.manifest import Blob
    from kit.bundle.source import BundleSource
    from kit.host.facts import HostFacts
    from kit.host.port import Lane
    from kit.ship.framed import FramedBlob
    from kit.ship.lanes.carrier import Heard
    from kit.ship.lanes.feed import ArchiveFeed, Feed
    from kit.ship.lanes.lanes import Destination
    from kit.ship.lanes.script import Record
    from kit.ship.plan import HostPlan


@dataclass(frozen=True, slots=True)
class Ahead:
    """Blobs that may go before a host's agent runs."""

    blobs: RecordQueue
    source: BundleSource | None
    """What they are read from; None when there are none."""


NOTHING_AHEAD = Ahead(RecordQueue({}, {}), None)
"""Also for a host that gets its blobs from others."""


def sent_ahead(plan: HostPlan, facts: HostFacts, source: BundleSource) -> Ahead:
    """Return the blobs that may go before a host's agent runs: those of which nothing is there yet.

    The agent knows better what others lack. None go to a host that judges bundles itself before it takes
    anything, and where there is no room for them beside the archive of kit's image. Raises
    VerificationError when an index is damaged.
    """
    if plan.judges or not _has_room(plan, facts):
        return NOTHING_AHEAD

    def read(index: Blob) -> bytes:
        return b"".join(source.read(index.digest))

    fresh = {send.blob.digest for send in plan.sends if not send.there}
    items = needed_items(plan.loads, plan.trees)
    blobs = {digest: framed_blob(item, read) for digest, item in items.items() if digest in fresh}
    soon = {digest: ((0, len(blob)),) for digest, blob in blobs.items() if _is_soon_sent(blob)}
    return Ahead(RecordQueue(soon, blobs), source)


def _is_soon_sent(blob: FramedBlob) -> bool:
    """Tell whether a blob has frames, and none that would have to be waited for when the image is loaded."""
    return 0 < max((frame.stored_size for frame in blob.frames), default=0) <= LARGEST_RECORD


def _has_room(plan: HostPlan, facts: HostFacts) -> bool:
    engine = plan.engine_bytes if facts.engine_on_root_disk else 0
    return facts.free_bytes >= plan.disk_bytes + plan.kit_bytes + engine + MARGIN


class HeadStart:
    """The archive of kit's image and, when all of it is on its way, blobs, for as long as it is loaded.

    A queue for lanes and their feed. Thread-safe.
    """

    def __init__(self, archive: ArchiveFeed, ahead: Ahead) -> None:
        self._archive = archive
        self._blobs = ahead.blobs
        self._feed: Feed = BundleFeed(ahead.source) if ahead.source else archive
        self._run = new_run()
        self._stopped = False
        self._clean = True
        self._wrote: dict[str, set[int]] = {}
        self._lock = threading.Lock()
        self._arrived = threading.Event()

    @contextmanager
    def sent(self, to: Destination, heard: Heard) -> Iterator[None]:
        """Give a context once the archive lies on the host; blobs follow until its end.

        Raises what sending the archive raises; what happens to blobs is for the agent's talk to tell.
        """
        lanes = Lanes(to, self, replace(heard, wrote=self._wrote_one))
        work = SideWork(lambda: lanes.send(self), lambda _: self._arrived.set())
        try:
            self._arrived.wait()
            if not self._archive.is_whole:
                work.result()
            yield
        except BaseException:
            self._stopped = True
            lanes.abort()
            raise
        finally:
            self._stopped = True
            work.join()
        try:
            work.result()
        except KitError:
            self._clean = False

    @property
    def early(self) -> Early:
        """What lies on the host afterwards; nothing when a lost lane's writer may still be at work there."""
        if not self._clean:
            return NOTHING_EARLY
        return Early(self._run, {d: ranges_of(sorted(numbers)) for d, numbers in self._wrote.items()})

    @property
    def left(self) -> int:
        """Bytes that no lane has taken."""
        return self._archive.left + (0 if self._stopped else self._blobs.left)

    def take(self, most: int) -> Record | None:
        """Return the next record; None at the end. Raises what making the archive raises."""
        record = self._archive.take(most)
        if record is not None:
            return record
        self._look()
        record = None if self._stopped else self._blobs.take(most)
        return record and replace(record, name=early_name(self._run, record.digest))

    def give_back(self, records: Iterable[Record]) -> None:
        """Take records back that did not arrive."""
        for record in records:
            if record.name:
                self._clean = False
            (self._blobs if record.name else self._archive).give_back((record,))

    def is_due(self, record: Record) -> bool:
        """Tell that every record must arrive."""
        del record
        return True

    def give(self, lane: Lane, record: Record, sent: Callable[[int], None]) -> None:
        """Write a record's bytes into a lane."""
        (self._feed if record.name else self._archive).give(lane, record, sent)

    def _wrote_one(self, record: Record) -> None:
        if record.name:
            with self._lock:
                self._wrote.setdefault(record.digest, set()).update(range(record.start, record.stop))
        else:
            self._archive.arrived(record)
            self._look()

    def _look(self) -> None:
        if self._archive.is_whole:
            self._arrived.set()
