"""A host's part in a chain: it listens for those before it, and gives to those after it.

The sender says over the control channel who they are; what happens is said in events. Whatever comes
over the network is believed only when TLS names the very host that the sender told of, and a frame
only when its digest is right. Nothing that another host does ends the ship on this one.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, TransferError
from kit.ship.chain.certificates import host_label, parse_credentials
from kit.ship.chain.relay_give import Giver
from kit.ship.chain.relay_take import Taker, expect_hello
from kit.ship.chain.tls import HANDSHAKE, SILENCE, Contexts, LinkLostError, TlsLink, contexts
from kit.ship.chain.wire import FRAME_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from kit.ship.chain.relay_give import Held
    from kit.ship.chain.relay_take import Taking
    from kit.ship.framed import FramedBlob

    Emit = Callable[[dict[str, Any]], None]

    class Frames(Held, Taking, Protocol):
        """What of an intake a relay uses."""

        def on_frames(self, heard: Callable[[str, int, int], None]) -> None:
            """Have `heard` told of frames that come to be here."""

        def end(self, error: KitError) -> None:
            """Give up: nothing more can be taken in."""


PULSE = 1.0
"""Seconds between two events that tell how much was passed on."""
_AT_ONCE = 8
"""Connections that are judged at a time."""
_WHY_LIMIT = 400


class Relay:
    """Passes frames on. Thread-safe; `close` ends all its threads' work."""

    def __init__(self, intake: Frames, blobs: Iterable[FramedBlob], emit: Emit) -> None:
        self._intake = intake
        self._blobs = {blob.blob.digest: blob for blob in blobs if _passable(blob)}
        self._emit = emit
        self._lock = threading.RLock()
        self._expects = threading.Condition(self._lock)
        self._contexts: Contexts | None = None
        self._givers: dict[str, Giver] = {}
        self._takers: dict[str, Taker] = {}
        self._sources: dict[str, frozenset[str]] = {}
        self._came: dict[str, int] = {}
        self._sockets: list[socket.socket] = []
        self._judging = threading.Semaphore(_AT_ONCE)
        self._closed = threading.Event()

    @property
    def joined(self) -> bool:
        """The sender made it part of a chain."""
        return self._contexts is not None

    @property
    def handlers(self) -> dict[str, Callable[[dict[str, Any]], None]]:
        """What the sender may say to it, by `do`."""
        return {"join": self.join, "next": self.add_next, "sources": self.set_sources}

    def join(self, said: dict[str, Any]) -> None:
        """Listen for other hosts, as whom the sender's credentials say; tell where, and what can be given.

        Raises TransferError for credentials that are none. A host that cannot listen tells of port 0.
        """
        self._contexts = contexts(parse_credentials(said))
        addresses = tuple(map(str, said["addresses"]))
        self._sockets = _listen(addresses)
        for listening in self._sockets:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        self._intake.on_frames(self._heard)
        port = self._sockets[0].getsockname()[1] if self._sockets else 0
        self._emit({"event": "listening", "port": port, "gives": sorted(self._blobs)})
        threading.Thread(target=self._beat, daemon=True).start()

    def add_next(self, said: dict[str, Any]) -> None:
        """Connect to a host that will ask for frames; one to the same host from before is given up."""
        name, port = str(said["name"]), int(said["port"])
        addresses = tuple(map(str, said["addresses"]))
        if self._contexts is None:
            raise TransferError("the sender speaks of a chain that this host has not joined")
        giver = Giver(name, self._intake, self._blobs, self._lost_next)
        with self._lock:
            old, self._givers[name] = self._givers.get(name), giver
        if old is not None:
            old.close()
        giver.start(addresses, port, self._contexts.client)

    def set_sources(self, said: dict[str, Any]) -> None:
        """Ask these hosts for these blobs, and nobody else for any."""
        sources = {str(name): frozenset(map(str, blobs)) for name, blobs in said["hosts"].items()}
        with self._lock:
            self._sources = sources
            takers = dict(self._takers)
            self._expects.notify_all()
        for name, taker in takers.items():
            if name in sources:
                taker.ask(sources[name])
            else:
                taker.close()

    def close(self) -> None:
        """End all connections, and listen no more."""
        self._closed.set()
        with self._lock:
            ended: list[Giver | Taker] = [*self._givers.values(), *self._takers.values()]
            self._sources = {}
            self._expects.notify_all()
        for listening in self._sockets:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for end in ended:
            end.close()

    def _heard(self, digest: str, start: int, stop: int) -> None:
        with self._lock:
            givers = tuple(self._givers.values())
        for giver in givers:
            giver.backlog.arrived(digest, start, stop)

    def _lost_next(self, giver: Giver, why: str) -> None:
        with self._lock:
            if self._givers.get(giver.name) is not giver:
                return
            del self._givers[giver.name]
        self._tell_lost("successor_lost", giver.name, why, connected=giver.connected)

    def _tell_lost(self, event: str, name: str, why: str, *, connected: bool) -> None:
        if not self._closed.is_set():
            self._emit({"event": event, "name": name, "why": why[:_WHY_LIMIT], "connected": connected})

    def _accept(self, listening: socket.socket) -> None:
        while not self._closed.is_set():
            try:
                connected, _ = listening.accept()
            except OSError:
                if self._closed.wait(PULSE):
                    return
                continue
            if self._judging.acquire(timeout=PULSE):
                threading.Thread(target=self._judge, args=(connected,), daemon=True).start()
            else:
                connected.close()

    def _judge(self, connected: socket.socket) -> None:
        """Find out who has connected; one whom the sender told of is listened to."""
        try:
            assert self._contexts is not None  # noqa: S101 - listening begins after they are there
            link = TlsLink(connected, self._contexts.server, None)
            name = self._expected(link.peer)
            connected.settimeout(HANDSHAKE)
            expect_hello(link)
            connected.settimeout(SILENCE)
        except (LinkLostError, OSError, ValueError):
            # Whoever it was is nobody's concern: the one who should have come says so itself.
            with suppress(OSError):
                connected.close()
            return
        finally:
            self._judging.release()
        taker = Taker(name, link, self._intake, self._blobs)
        threading.Thread(target=self._take, args=(name, taker), daemon=True).start()

    def _expected(self, label: str) -> str:
        """Return whose label it is. Raises LinkLostError when it is none of the hosts to ask.

        The sender tells both sides at once, so this one may hear of it a little later.
        """

        def found() -> str | None:
            return next((name for name in self._sources if host_label(name) == label), None)

        with self._lock:
            self._expects.wait_for(lambda: found() or self._closed.is_set(), HANDSHAKE)
            name = found()
        if name is None:
            raise LinkLostError("not a host that was told of")
        return name

    def _take(self, name: str, taker: Taker) -> None:
        with self._lock:
            old, self._takers[name] = self._takers.get(name), taker
            asks = self._sources.get(name)
        if old is not None:
            old.close()
        if asks is not None:
            taker.ask(asks)
        try:
            taker.run()
        except LinkLostError as error:
            self._lost_source(taker, str(error))
        except KitError as error:
            # This host's own trouble: no other host would help.
            self._intake.end(error)
            self._lost_source(taker, str(error))

    def _lost_source(self, taker: Taker, why: str) -> None:
        with self._lock:
            self._came[taker.name] = self._came.get(taker.name, 0) + taker.came
            current = self._takers.get(taker.name) is taker
            if current:
                del self._takers[taker.name]
            told = current and taker.name in self._sources
        if told:
            self._tell_lost("predecessor_lost", taker.name, why, connected=True)

    def _beat(self) -> None:
        with suppress(OSError, KitError):  # Nobody hears it any more: the sender is gone.
            while not self._closed.wait(PULSE):
                self._emit(self.pulse())

    def pulse(self) -> dict[str, Any]:
        """Return how much came and went so far, as an event."""
        with self._lock:
            came = dict(self._came)
            for name, taker in self._takers.items():
                came[name] = came.get(name, 0) + taker.came
            given = {name: [giver.sent, giver.backlog.behind] for name, giver in self._givers.items()}
        return {"event": "passing", "came": came, "given": given}


def _passable(blob: FramedBlob) -> bool:
    return all(frame.stored_size <= FRAME_LIMIT for frame in blob.frames)


def _listen(addresses: tuple[str, ...]) -> list[socket.socket]:
    """Listen on one free port of all addresses that are this host's."""
    found: list[socket.socket] = []
    for address in dict.fromkeys(addresses):
        port = found[0].getsockname()[1] if found else 0
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append(socket.create_server((address, port), family=family, backlog=_AT_ONCE))
        except OSError:
            continue  # Not of this host: its kit.yaml address may be one of a gateway before it.
    return found
