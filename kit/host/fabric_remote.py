"""A host over SSH: commands and lanes over the connection that `kit.host.ssh_reach` opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import UnreachableError
from kit.host.dialling import dial_through
from kit.host.exchange import exchange, run_talk, stream_talk
from kit.host.fabric_channel import Channel
from kit.host.lane_opener import LaneOpener, Reached
from kit.host.port import Completed, ignore
from kit.host.round_trip import round_trip
from kit.host.ssh_reach import CONNECT_TIMEOUT, reach
from kit.host.talk_lane import TalkLane
from kit.host.terminal import join_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kit.host.port import Argv, Lane, Passage
    from kit.host.ssh_way import Hop, Way

KEEPALIVE = 10
"""Seconds between questions whether the host still answers."""


class FabricRemote:
    """A machine over SSH, behind the Host protocol."""

    def __init__(self, way: Way) -> None:
        """Connect. Raises UnreachableError, ConfigError."""
        self._way = way
        self._open = reach(way)
        self._transport = self._open.transport
        self._transport.set_keepalive(KEEPALIVE)
        self._lanes = LaneOpener(way.name, self._reached, self)
        self._round_trip: float | None = None

    @property
    def name(self) -> str:
        """Its name in kit.yaml."""
        return self._way.name

    @property
    def way(self) -> Way:
        """How it was to be reached."""
        return self._way

    @property
    def hops(self) -> tuple[Hop, ...]:
        """How it was reached: gateways of ProxyJump, nearest first, and the host itself at the end."""
        return self._open.hops

    def _talk(self, argv: Argv) -> Channel:
        return Channel(self._way.name, self._transport, argv)

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command and return what it said."""
        return run_talk(self.name, self._talk(argv), stdin, timeout)

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """Run a command, feeding `chunks` while `on_line` gets each line."""
        return stream_talk(self.name, self._talk(argv), chunks, on_line)

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        """Run a command and hand its raw output to `sink`."""
        status, errors = exchange(self._talk(argv), (stdin,) if stdin else (), sink)
        return Completed(status, b"", errors)

    def round_trip(self) -> float:
        """Return the seconds there and back when it was first asked for: later, data would be in the way."""
        if self._round_trip is None:
            self._round_trip = round_trip(self._transport)
        return self._round_trip

    def open_lane(self, argv: Argv, *, aes: bool = False, note: Callable[[str], None] = ignore) -> Lane:
        """Start a command over a connection of its own."""
        return self._lanes.open(argv, aes_there=aes, note=note)

    def _reached(self) -> Reached:
        return Reached(
            hops=self.hops,
            identity=self._way.identity,
            ssh_config=self._way.ssh_config,
            own_proxy=self._open.by_proxy_command,
            own_ciphers="ciphers" in self._open.settings,
            connect_timeout=CONNECT_TIMEOUT,
            keepalive=KEEPALIVE,
        )

    def separate_lane(self, argv: Argv) -> Lane:
        """Start a command over another connection of paramiko's."""
        if any(hop.one_time for hop in self.hops):
            raise UnreachableError("each login there wants another answer", where=self.name)
        other = FabricRemote(self._way)
        try:
            return TalkLane(self.name, other._talk(argv), other.close)
        except UnreachableError:
            other.close()
            raise

    def shared_lane(self, argv: Argv) -> Lane:
        """Start a command over this connection, beside whatever else runs."""
        return TalkLane(self.name, self._talk(argv))

    def dial(self, address: str, port: int) -> Passage:
        """Connect to a port as the host itself would, through this connection."""
        return dial_through(self.name, self._transport, address, port)

    def join(self, argv: Argv) -> int:
        """Run a command at a terminal there, joined to the one here."""
        return join_terminal(self.name, self._transport, argv)

    def close(self) -> None:
        """End the connection and those to its gateways, and the lanes."""
        self._lanes.close()
        self._open.close()
