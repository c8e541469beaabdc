"""TLS 1.3 between two hosts of a chain, each proven to be the very host that the other expects.

Keys are read from memory: OpenSSL wants files, and gets one that has no name and no disk (memfd).
Reading and writing go on at once in two threads; an SSL object must not be used by two at once, so
one holds it for the time of some pieces, and the socket is waited for outside.
"""

from __future__ import annotations

import os
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import TransferError
from kit.ship.chain.certificates import host_label

if TYPE_CHECKING:
    import socket

    from kit.ship.chain.certificates import Credentials

SILENCE = 30.0
"""Seconds without a byte after which the other side counts as gone; each says something every `ALIVE`."""
ALIVE = 5.0
HANDSHAKE = 15.0
"""Seconds that the other side may be silent in a handshake. A slow line, full of what the sender gave until
now, loses packets; TCP sends one that was lost three times for the fourth time after 7 s."""
_PIECE = 1 << 18
_SEND = 1 << 16
"""Bytes given to the socket at a time: its timeout is for all of them together."""


class LinkLostError(Exception):
    """The other side is gone, silent or not who it should be. Never leaves the agent: see `relay`."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """TLS 1.3 for both directions; the other side must show a certificate of this ship's authority."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def contexts(credentials: Credentials) -> Contexts:
    """Return what links are made with. Raises TransferError when the credentials are none."""
    try:
        server = _context(ssl.PROTOCOL_TLS_SERVER, credentials)
        server.num_tickets = 0
        return Contexts(server, _context(ssl.PROTOCOL_TLS_CLIENT, credentials))
    except (ssl.SSLError, ValueError, OSError) as error:
        # Its text never holds the key; that of a parser could.
        raise TransferError("credentials that TLS does not take", why=type(error).__name__) from None


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=credentials.authority)
    held = os.memfd_create("kit", os.MFD_CLOEXEC)
    try:
        data = memoryview((credentials.certificate + credentials.key).encode())
        while data:
            data = data[os.write(held, data) :]
        context.load_cert_chain(f"/proc/self/fd/{held}")
    finally:
        os.close(held)
    return context


class TlsLink:
    """Bytes both ways over a connected socket: one thread may read while another writes.

    All methods raise LinkLostError.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, expected: str | None) -> None:
        """Shake hands. `expected` is the host that must answer; None on the answering side, see `peer`."""
        self.received = 0
        """Bytes that came over the network so far."""
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        label = None if expected is None else host_label(expected)
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=expected is None, server_hostname=label
        )
        self._state = threading.Lock()
        self._sending = threading.Lock()
        connected.settimeout(HANDSHAKE)
        self._shake_hands()
        connected.settimeout(SILENCE)

    def _shake_hands(self) -> None:
        while not self._is_shaken():
            self._flush()
            self._receive()
        self._flush()

    def _is_shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            with suppress(LinkLostError):
                self._flush()  # The alert that tells the other side why.
            raise LinkLostError(f"TLS refused: {error.reason or error}") from error
        return True

    @property
    def peer(self) -> str:
        """The label in the other side's certificate; see `host_label`."""
        names = (self._tls.getpeercert() or {}).get("subjectAltName", ())
        found = [str(pair[1]) for pair in names if pair[0] == "DNS"]
        return found[0] if len(found) == 1 else ""

    def _flush(self) -> None:
        with self._sending:
            # Taken out within the lock: pieces must leave in the order in which they were made.
            with self._state:
                data = memoryview(self._outgoing.read())
            try:
                for start in range(0, len(data), _SEND):
                    self._socket.sendall(data[start : start + _SEND])
            except OSError as error:
                raise LinkLostError(f"not sent: {error}") from error

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_PIECE)
        except OSError as error:
            raise LinkLostError(f"nothing came: {error}") from error
        if not data:
            raise LinkLostError("the other side closed the connection")
        self.received += len(data)
        with self._state:
            self._incoming.write(data)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            try:
                with self._state:
                    self._tls.write(view[start : start + _PIECE])
            except ssl.SSLError as error:
                raise LinkLostError(f"TLS: {error.reason or error}") from error
            self._flush()

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        found = bytearray()
        while len(found) < size:
            piece = self._decrypted(size - len(found))
            if piece:
                found += piece
            else:
                self._receive()
        return bytes(found)

    def _decrypted(self, most: int) -> bytes:
        """Return what came of the stream already; nothing when more must come first."""
        found = bytearray()
        try:
            with self._state:
                while len(found) < most and (piece := self._tls.read(min(most - len(found), _PIECE))):
                    found += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise LinkLostError(f"TLS: {error.reason or error}") from error
        else:
            if len(found) < most:
                raise LinkLostError("the other side ended the stream")
        return bytes(found)

    def close(self) -> None:
        """End it at once; whoever reads or writes hears of it."""
        with suppress(OSError):
            self._socket.shutdown(2)
        self._socket.close()
