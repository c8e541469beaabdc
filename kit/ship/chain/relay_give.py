"""Giving frames to the next host of a chain: one connection, two threads."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from kit.errors import KitError
from kit.ship.chain.backlog import Backlog
from kit.ship.chain.tls import ALIVE as PATIENCE
from kit.ship.chain.tls import LinkLostError, TlsLink
from kit.ship.chain.wire import ALIVE, WANT, alive, frame_message, hello, read_kind, read_want

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from kit.ship.framed import FramedBlob

    class Held(Protocol):
        """Frames that are here; see `kit.ship.agent.intake`."""

        def has(self, digest: str, frame: int) -> bool:
            """Tell whether a frame is here."""

        def read(self, digest: str, frame: int) -> bytes:
            """Return its bytes. Raises TransferError."""


CONNECT = 4.0
"""Seconds for a connection to one of the addresses: TCP asks at 0, 1 and 3 s."""
HEAD_START = 0.25
"""Seconds that an address is tried alone before the next one is tried, too."""
CANDIDATES = 8
"""Most addresses tried."""
_LOOK = 0.05


def reach(name: str, addresses: tuple[str, ...], port: int, context: ssl.SSLContext) -> TlsLink:
    """Return a connection to a host under whichever of its addresses it answers first, as itself.

    Raises LinkLostError when it does under none.
    """
    found = threading.Event()
    links: list[TlsLink] = []
    why: dict[str, str] = {}
    lock = threading.Lock()

    def attempt(place: int, address: str) -> None:
        if found.wait(place * HEAD_START):
            return
        try:
            link = _try(name, address, port, context)
        except (OSError, LinkLostError) as error:
            why[address] = str(error)
            return
        with lock:
            first = not links
            if first:
                links.append(link)
                found.set()
        if not first:
            link.close()

    tried = tuple(dict.fromkeys(addresses))[:CANDIDATES]
    threads = [threading.Thread(target=attempt, args=item, daemon=True) for item in enumerate(tried)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive() and not found.is_set():
            thread.join(_LOOK)
    if not links:
        tries = "; ".join(f"{address} port {port}: {why.get(address, 'no answer')}" for address in tried)
        raise LinkLostError(f"it cannot be reached: {tries or 'it listens nowhere'}")
    return links[0]


def _try(name: str, address: str, port: int, context: ssl.SSLContext) -> TlsLink:
    connected = socket.create_connection((address, port), CONNECT)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return TlsLink(connected, context, name)
    except BaseException:
        connected.close()
        raise


class Giver:
    """Connects to a host and gives it what it asks for, until one of them has enough."""

    def __init__(
        self,
        name: str,
        held: Held,
        blobs: Mapping[str, FramedBlob],
        lost: Callable[[Giver, str], None],
    ) -> None:
        """`lost` hears why the connection ended, or never came to be; not when `close` ended it."""
        self.name = name
        self.backlog = Backlog(held, blobs)
        self.sent = 0
        self.connected = False
        self._held = held
        self._blobs = blobs
        self._lost = lost
        self._link: TlsLink | None = None
        self._closing = False
        self._why = ""

    def start(self, addresses: tuple[str, ...], port: int, context: ssl.SSLContext) -> None:
        """Begin, in threads of its own."""
        threading.Thread(target=self._run, args=(addresses, port, context), daemon=True).start()

    def close(self) -> None:
        """End it, and say nothing of it."""
        self._closing = True
        self.backlog.end()
        if self._link is not None:
            self._link.close()

    def _run(self, addresses: tuple[str, ...], port: int, context: ssl.SSLContext) -> None:
        try:
            link = self._link = reach(self.name, addresses, port, context)
            link.write(hello())
            threading.Thread(target=self._hear, args=(link,), daemon=True).start()
            self._give(link)
        except (LinkLostError, KitError, OSError) as error:
            self._why = self._why or str(error)
        finally:
            self.backlog.end()
            if self._link is not None:
                self._link.close()
        if not self._closing:
            self._lost(self, self._why)

    def _give(self, link: TlsLink) -> None:
        while not self.backlog.ended:
            item = self.backlog.take(PATIENCE)
            if item is None:
                link.write(alive())
                continue
            digest, frame = item
            data = self._held.read(digest, frame)
            link.write(frame_message(digest, frame, len(data)))
            link.write(data)
            self.sent += len(data)
            self.backlog.gave(digest, frame)

    def _hear(self, link: TlsLink) -> None:
        try:
            while True:
                self._hear_one(link)
        except LinkLostError as error:
            self._why = self._why or str(error)
        self.backlog.end()
        link.close()

    def _hear_one(self, link: TlsLink) -> None:
        kind, length = read_kind(link)
        # Only now is it sure that the other side takes this one for whom it should be.
        self.connected = True
        if kind == WANT:
            self.backlog.want(read_want(link, length, self._blobs))
        elif kind != ALIVE:
            raise LinkLostError(f"a message of kind {kind!r}")
