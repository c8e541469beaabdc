"""Taking frames from the host before this one in a chain: one connection, two threads."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.errors import VerificationError
from kit.ship.chain.tls import ALIVE as PATIENCE
from kit.ship.chain.tls import LinkLostError
from kit.ship.chain.wire import (
    ALIVE,
    FRAME,
    HELLO,
    Want,
    alive,
    read_frame_head,
    read_kind,
    want_message,
)
from kit.ship.framed import ranges_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from kit.ship.chain.tls import TlsLink
    from kit.ship.framed import FramedBlob, FrameRanges

    class Taking(Protocol):
        """What frames are taken into; see `kit.ship.agent.intake`."""

        def need(self) -> dict[str, FrameRanges]:
            """Return the frames that are missing."""

        def write(self, digest: str, frame: int, data: bytes) -> None:
            """Take a frame in. Raises VerificationError for wrong bytes, UnfitError, TransferError."""


BAD_LIMIT = 8
"""Frames with wrong bytes after which a host is not believed any more."""
BAD_PAUSE = 2.0
"""Seconds after which such a frame is asked for again: by then the giver may have noticed, too."""

_IDLE = 1024
"""Bytes within a pause below which nothing but signs of life came."""


def expect_hello(link: TlsLink) -> None:
    """Wait for the message that opens a connection. Raises LinkLostError."""
    if read_kind(link)[0] != HELLO:
        raise LinkLostError("it did not begin with a hello")


class Taker:
    """Asks a host for frames, and takes in what comes."""

    def __init__(self, name: str, link: TlsLink, intake: Taking, blobs: Mapping[str, FramedBlob]) -> None:
        self.name = name
        self.came = 0
        self._link = link
        self._intake = intake
        self._blobs = blobs
        self._changed = threading.Condition()
        self._asks: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        """Asked for at any time: what of it is still on its way is welcome."""
        self._is_new = False
        self._bad: dict[tuple[str, int], float] = {}
        self._bad_count = 0
        self._closing = False

    def ask(self, digests: frozenset[str]) -> None:
        """Ask for all that is missing of these blobs, and for nothing else any more."""
        with self._changed:
            self._asks, self._is_new = digests, True
            self._asked |= digests
            self._changed.notify_all()

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._link.close()

    def run(self) -> None:
        """Take in what comes until the connection ends. Raises LinkLostError, UnfitError, TransferError."""
        asking = threading.Thread(target=self._ask, daemon=True)
        asking.start()
        try:
            while True:
                kind, length = read_kind(self._link)
                if kind == FRAME:
                    self._take(length)
                elif kind != ALIVE:
                    raise LinkLostError(f"a message of kind {kind!r}")
        finally:
            self.close()

    def _take(self, length: int) -> None:
        head = read_frame_head(self._link, length, self._blobs)
        if head.digest not in self._asked:
            raise LinkLostError(f"a frame of {head.digest}, which it was not asked for")
        data = self._link.read(head.length)
        # Counted before: with the last frame the intake is whole, and that is told at once.
        self.came += head.length
        try:
            self._intake.write(head.digest, head.frame, data)
        except VerificationError as error:
            self.came -= head.length
            self._note_bad(head.digest, head.frame, error)

    def _note_bad(self, digest: str, frame: int, error: VerificationError) -> None:
        self._bad_count += 1
        if self._bad_count >= BAD_LIMIT:
            raise LinkLostError(f"it gave wrong bytes {BAD_LIMIT} times") from error
        with self._changed:
            self._bad[digest, frame] = time.monotonic() + BAD_PAUSE

    def _ask(self) -> None:
        with suppress(LinkLostError):
            while not self._closing:
                self._link.write(self._next_message())
            return
        self._link.close()

    def _next_message(self) -> bytes:
        """Return what to say next, after a pause when there is nothing new."""
        received = self._link.received
        with self._changed:
            pause = BAD_PAUSE if self._bad else PATIENCE
            self._changed.wait_for(lambda: self._is_new or self._closing, pause)
            now = time.monotonic()
            again = {key for key, due in self._bad.items() if due <= now}
            asks, is_new, self._is_new = self._asks, self._is_new, False
            self._bad = {key: due for key, due in self._bad.items() if key not in again}
        missing = {digest: ranges for digest, ranges in self._intake.need().items() if digest in asks}
        if is_new or again:
            return want_message(Want(missing, _grouped(again)))
        if missing and self._link.received - received < _IDLE:
            # What was given may have been lost here: a frame found bad when the blob was whole.
            return want_message(Want(missing, missing))
        return alive()


def _grouped(frames: set[tuple[str, int]]) -> dict[str, FrameRanges]:
    digests = {digest for digest, _ in frames}
    return {digest: ranges_of(sorted(n for d, n in frames if d == digest)) for digest in digests}
