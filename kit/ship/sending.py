"""The sender's side of one talk with a host's agent: it asks for frames, and lanes carry them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, UnreachableError
from kit.ship.control import ControlLines
from kit.ship.framed import framed_blob, needed_items
from kit.ship.lane_carrier import Heard
from kit.ship.lanes import Lanes
from kit.ship.needed_frames import Asked, parse_need
from kit.ship.record_queue import RecordQueue

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from kit.bundle.manifest import Blob
    from kit.bundle.source import BundleSource
    from kit.ship.framed import FramedBlob
    from kit.ship.lane_script import Record
    from kit.ship.lanes import Destination
    from kit.ship.plan import HostPlan

PATIENCE = 60.0
"""Seconds that lanes may take to end after the agent has."""


class Sending:
    """Sends what an agent asks for. As a context it ends with the agent's call inside it.

    What went wrong in sending then takes the place of what the agent made of its sudden end.
    """

    def __init__(
        self,
        to: Destination,
        source: BundleSource,
        plan: HostPlan,
        on_bytes: Callable[[int], None],
        on_note: Callable[[str], None],
        on_need: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_bytes` hears of bytes that left, `on_need` of bytes asked for, `on_note` of news for users."""
        self._on_need = on_need
        self._asked = Asked(to.host.name)
        self.control = ControlLines()
        self._host = to.host
        self._source = source
        self._plan = plan
        self._lanes = Lanes(to, source, Heard(on_bytes, self._wrote, on_note))
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

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
            self._on_need(self._asked.count(need, blobs))
            self._lanes.send(RecordQueue(need, blobs))
            self.control.say("sent")
        except BaseException as failure:  # noqa: BLE001 - raised again where the talk ends
            self._failure = failure
            self.control.close()

    def _blobs(self) -> dict[str, FramedBlob]:
        def read(index: Blob) -> bytes:
            return b"".join(self._source.read(index.digest))

        items = needed_items(self._plan.loads, self._plan.trees)
        return {digest: framed_blob(item, read) for digest, item in items.items()}

    def _wrote(self, record: Record) -> None:
        self.control.say("wrote", blob=record.digest, start=record.start, stop=record.stop)

    def __enter__(self) -> Sending:  # noqa: PYI034 - Self is in typing from 3.11 on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
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
