"""Hosts of a chain in one process: real relays, TLS and sockets on loopback; intakes in memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.ship.chain.chain import Chain
from kit.ship.chain.relay import Relay
from kit.ship.framed import FramedBlob, FrameRanges, numbers_of
from tests.unit.ship.memory_intake import MemoryIntake, noise_blob


@dataclass
class Content:
    """Blobs of random bytes."""

    blobs: dict[str, FramedBlob] = field(default_factory=dict)
    pieces: dict[str, tuple[bytes, ...]] = field(default_factory=dict)

    def add(self, seed: int, frames: int, size: int = 20_000) -> str:
        blob, pieces = noise_blob(seed, frames, size)
        self.blobs[blob.blob.digest] = blob
        self.pieces[blob.blob.digest] = pieces
        return blob.blob.digest

    @property
    def size(self) -> int:
        return sum(blob.blob.size for blob in self.blobs.values())


class StandHost:
    """An agent and the sender's thread for it."""

    def __init__(
        self,
        stand: Stand,
        name: str,
        wants: Iterable[str],
        has: Mapping[str, FrameRanges],
        listens_at: str = "127.0.0.1",
    ) -> None:
        self.stand = stand
        self.name = name
        self.listens_at = listens_at
        blobs = {digest: stand.content.blobs[digest] for digest in wants}
        self.intake = MemoryIntake(blobs)
        self.intake.fill(stand.content.pieces, has)
        self.relay = Relay(self.intake, blobs.values(), self.emit)
        self.events: list[dict[str, Any]] = []
        self.joined = threading.Event()
        """The chain knows what it gives, and what it lacks or that it lacks nothing."""
        self.released = threading.Event()
        self.fed = 0
        self.dead = False
        self._heard: set[str] = set()
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def start(self) -> None:
        self.stand.chain.enter(self.name, self.say, self.die, ("127.0.0.1",))
        for work in (self._listen, self._feed, self._tell_whole):
            threading.Thread(target=work, daemon=True).start()

    def join(self) -> None:
        """Start, and return when it stands in the chain: whoever starts now comes after it."""
        self.start()
        assert self.joined.wait(20), f"{self.name}: {self.events}"

    def emit(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if not self.dead:
            self.stand.chain.hear(self.name, event)
            self._heard.add(event["event"])
            if {"listening", "whole"} <= self._heard:
                self.joined.set()

    def say(self, do: str, **more: Any) -> None:
        self._said.put({"do": do, **more})

    def die(self) -> None:
        """As when the host loses its power: nothing is said, to nobody."""
        self.dead = True
        self.relay.close()

    def lost(self) -> None:
        """As when the sender notices."""
        self.stand.chain.exit(self.name)
        self.stand.chain.leave(self.name)

    def _listen(self) -> None:
        while not self.dead:
            said = self._said.get()
            if said["do"] == "release":
                self.released.set()
                self.relay.close()
                self.stand.chain.exit(self.name)
                self.stand.chain.leave(self.name)
                return
            if said["do"] == "join":
                said["addresses"] = [self.listens_at]
            self.relay.handlers[said["do"]](said)
            if said["do"] == "sources":
                self.joined.set()

    def _feed(self) -> None:
        while not self.dead and not self.released.is_set():
            need = self.intake.need()
            if not need:
                return
            share = self.stand.chain.share(self.name, need)
            for digest, ranges in share.items():
                for number in numbers_of(ranges):
                    if self.dead or not self.stand.chain.is_from_sender(self.name, digest):
                        break
                    self._send(digest, number)
            if not share:
                self.stand.chain.wait(self.name, need)

    def _send(self, digest: str, number: int) -> None:
        data = self.stand.content.pieces[digest][number]
        time.sleep(self.stand.pause)
        self.intake.write(digest, number, data)
        self.fed += len(data)
        self.stand.chain.sent(self.name, len(data))

    def _tell_whole(self) -> None:
        self.intake.wait_until_whole(60)
        if not self.dead:
            self.emit({"event": "whole"})


class Stand:
    """A chain and its hosts."""

    def __init__(self, content: Content, names: Iterable[str], pause: float = 0.001) -> None:
        self.content = content
        self.pause = pause
        self.notes: list[str] = []
        self.hosts: dict[str, StandHost] = {}
        self.names = tuple(names)
        self.chain = Chain(self.names, (time.time(),), self.notes.append)

    def add(
        self,
        name: str,
        wants: Iterable[str] | None = None,
        has: Mapping[str, FrameRanges] | None = None,
        listens_at: str = "127.0.0.1",
    ) -> StandHost:
        host = StandHost(self, name, wants or self.content.blobs, has or {}, listens_at)
        self.hosts[name] = host
        return host

    def run(self) -> None:
        for host in self.hosts.values():
            host.start()

    def __enter__(self) -> Stand:  # noqa: PYI034 - Self is in typing from 3.11 on
        self.chain.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.chain.__exit__()
        for host in self.hosts.values():
            host.die()

    def wait(self, *but: str) -> None:
        """Wait until all hosts but these are whole and released."""
        for host in self.hosts.values():
            if host.name not in but:
                assert host.intake.wait_until_whole(30), f"{host.name}: {self.notes} {host.intake.need()}"
                assert host.released.wait(10), host.name

    @property
    def fed(self) -> int:
        """Bytes that the sender gave, to all together."""
        return sum(host.fed for host in self.hosts.values())
