"""The sender's side of a chain: who has joined it, who gets what from whom, and what happens when one fails.

Each host's agent says what it can give and what it lacks; `links` decides; agents and lanes are
told what has changed. A host that dies, or that others cannot reach, is passed by; one that is slow
goes to the end. Agents stay until every host has all it needs, or has failed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.ship.chain.certificates import Authority
from kit.ship.chain.links import SENDER, Member, moved_to_end, nexts_of, sources_of
from kit.ship.chain.pace import FACTOR, Paces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kit.ship.framed import FrameRanges

    Say = Callable[..., None]
    Note = Callable[[str], None]

JOINING = 15.0
"""Seconds that a host has to say where it listens; afterwards it is fed alone."""
SILENT = 45.0
"""Seconds after which a host that says nothing more counts as gone."""
_TICK = 1.0
_STRIKES = 2
"""Hosts that could not connect to one, after which no other one tries."""
_TRIAL_WINDOW = 3.0
"""Seconds over which the first host's rate is measured then: less, since it costs little to be wrong."""
_TRIAL_WORTH = (20.0, 60.0)
"""Seconds that must be left at the present rate for another host to be put first, to see whether the first
one is what is slow; and for a third one. What is under way to the one before is sent once more."""
_MB = 1e6


@dataclass(slots=True)
class _Host:
    """What is known of one host's agent."""

    name: str
    say: Say
    give_up: Callable[[], None]
    addresses: tuple[str, ...]
    heard: float
    port: int | None = None
    gives: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    """Blobs of which it lacked frames at any time since it came."""
    whole: bool = False
    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    nexts: frozenset[str] = frozenset()
    fed: int = 0
    """Bytes that it got from the sender."""
    left: int = 0
    """Bytes that the sender still has for it."""
    came: int = 0
    """Bytes that it got from other hosts."""

    @property
    def from_sender(self) -> frozenset[str]:
        return self.sources.get(SENDER, frozenset())


class Chain:
    """The hosts of one ship, as they pass blobs on to each other. Thread-safe."""

    def __init__(
        self,
        names: Iterable[str],
        clocks: Iterable[float],
        note: Note,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`names` are all that will come; `clocks` what they take for now, in seconds since the epoch."""
        self._authority = Authority(clocks)
        self._note = note
        self._now = now
        self._changed = threading.Condition()
        self._awaited = set(names)
        self._hosts: dict[str, _Host] = {}
        self._order: list[str] = []
        """Those that have joined."""
        self._broken: set[tuple[str, str]] = set()
        self._strikes: dict[str, set[str]] = {}
        self._paces = Paces()
        self._slow: set[str] = set()
        self._tried: list[str] = []
        self._ended = threading.Event()

    def __enter__(self) -> Chain:  # noqa: PYI034 - Self is in typing from 3.11 on
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def enter(self, name: str, say: Say, give_up: Callable[[], None], addresses: tuple[str, ...]) -> None:
        """Have a host's agent join. `say` tells it something; `give_up` ends the talk with it."""
        with self._changed:
            self._hosts[name] = _Host(name, say, give_up, addresses, self._now())
            say("join", name=name, addresses=list(addresses), **self._authority.issue(name).document())

    def exit(self, name: str) -> None:
        """Take note that a host's agent has ended, whatever the reason."""
        with self._changed:
            self._hosts.pop(name, None)
            if name in self._order:
                self._order.remove(name)
                self._broken = {pair for pair in self._broken if name not in pair}
                self._relink()
            self._changed.notify_all()

    def leave(self, name: str) -> None:
        """Take note that a host's ship has ended: nobody waits for it any more."""
        with self._changed:
            self._awaited.discard(name)
            self._release()

    def hear(self, name: str, event: Mapping[str, Any]) -> int:
        """Take note of what an agent says; return how many more bytes came to it from other hosts.

        Whatever a host says wrongly harms at most itself.
        """
        with self._changed:
            host = self._hosts.get(name)
            if host is None:
                return 0
            host.heard = self._now()
            return self._hear(host, event)

    def _hear(self, host: _Host, event: Mapping[str, Any]) -> int:
        kind = event.get("event")
        if kind == "listening":
            self._listens(host, event)
        elif kind == "whole":
            host.whole = True
            self._join(host)
            self._release()
        elif kind == "successor_lost":
            self._lost(host.name, str(event.get("name")), event)
        elif kind == "predecessor_lost":
            self._lost(str(event.get("name")), host.name, event)
        elif kind == "passing":
            return self._passing(host, event)
        return 0

    def share(self, name: str, need: Mapping[str, FrameRanges]) -> dict[str, FrameRanges]:
        """Return what of a host's need the sender must give it now; it says with `owes` how much that is."""
        with self._changed:
            host = self._hosts.get(name)
            if host is None:
                return dict(need)
            self._changed.wait_for(lambda: host.port is not None or self._gone(host), JOINING)
            host.port = host.port or 0
            host.lacks = host.lacks | need.keys()
            if not self._gone(host):
                self._join(host)
            return {digest: ranges for digest, ranges in need.items() if digest in host.from_sender}

    def owes(self, name: str, size: int) -> None:
        """Take note of how many bytes the sender is about to give a host."""
        with self._changed:
            if name in self._hosts:
                self._hosts[name].left = size

    def is_from_sender(self, name: str, digest: str) -> bool:
        """Tell whether a host gets a blob from the sender, as things are."""
        host = self._hosts.get(name)
        return host is None or digest in host.from_sender

    def sent(self, name: str, size: int) -> None:
        """Take note that the sender gave a host so many bytes."""
        with self._changed:
            host = self._hosts.get(name)
            if host is not None:
                host.fed += size
                host.left = max(0, host.left - size)

    def wait(self, name: str, need: Mapping[str, FrameRanges]) -> None:
        """Return when the sender must give a host some of these blobs after all, or its agent has ended."""
        with self._changed:
            host = self._hosts.get(name)
            if host is not None:
                self._changed.wait_for(lambda: self._gone(host) or bool(host.from_sender & need.keys()))

    def _gone(self, host: _Host) -> bool:
        return self._hosts.get(host.name) is not host

    def _listens(self, host: _Host, event: Mapping[str, Any]) -> None:
        port, gives = event.get("port"), event.get("gives")
        if type(port) is int and 0 <= port < 1 << 16 and isinstance(gives, list):
            host.port, host.gives = port, frozenset(map(str, gives))
        else:
            host.port = 0
        if host.whole:
            self._join(host)
        self._changed.notify_all()

    def _join(self, host: _Host) -> None:
        if host.port is None:
            return
        if host.name not in self._order:
            self._order.append(host.name)
        self._relink()

    def _members(self) -> tuple[Member, ...]:
        hosts = [self._hosts[name] for name in self._order]
        return tuple(
            Member(host.name, host.gives, host.lacks, self._is_reachable(host), host.whole) for host in hosts
        )

    def _is_reachable(self, host: _Host) -> bool:
        return bool(host.port) and len(self._strikes.get(host.name, ())) < _STRIKES

    def _relink(self) -> None:
        """Decide anew, and tell everybody what has changed for it: takers first, then givers."""
        sources = sources_of(self._members(), frozenset(self._broken))
        for name, givers in sources.items():
            self._tell_sources(self._hosts[name], givers)
        for name, takers in nexts_of(sources).items():
            host = self._hosts[name]
            for taker in sorted(takers - host.nexts):
                found = self._hosts[taker]
                self._paces.forget(name, taker)
                host.say("next", name=taker, addresses=list(found.addresses), port=found.port)
            host.nexts = takers
        self._changed.notify_all()

    def _tell_sources(self, host: _Host, givers: dict[str, frozenset[str]]) -> None:
        if givers == host.sources:
            return
        if (SENDER in givers) != (SENDER in host.sources):
            self._paces.forget(SENDER, host.name)
        host.sources = givers
        hosts = {giver: sorted(blobs) for giver, blobs in givers.items() if giver != SENDER}
        host.say("sources", hosts=hosts)

    def _lost(self, giver: str, taker: str, event: Mapping[str, Any]) -> None:
        host = self._hosts.get(taker)
        if host is None or giver not in host.sources or giver == SENDER:
            return  # Of a link that was given up already.
        self._broken.add((giver, taker))
        if not event.get("connected"):
            self._strikes.setdefault(taker, set()).add(giver)
        self._relink()
        instead = sorted(name or "this machine" for name in host.sources)
        why = str(event.get("why"))[:200]
        self._note(f"{taker} gets nothing more from {giver} but from {', '.join(instead)}: {why}")

    def _passing(self, host: _Host, event: Mapping[str, Any]) -> int:
        came, given = event.get("came"), event.get("given")
        if not isinstance(came, dict) or not isinstance(given, dict):
            return 0
        now = self._now()
        for taker, counts in given.items():
            if taker in host.nexts and _are_counts(counts):
                self._paces.note(host.name, taker, now, *counts)
        if host.from_sender:
            self._paces.note(SENDER, host.name, now, host.fed, host.left)
        total = sum(count for count in came.values() if type(count) is int and count >= 0)
        fresh, host.came = max(0, total - host.came), max(host.came, total)
        self._paces.note_arrival(host.name, now, host.came + host.fed)
        return fresh

    def _release(self) -> None:
        if all(name in self._hosts and self._hosts[name].whole for name in self._awaited):
            for host in self._hosts.values():
                host.say("release")

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            self.look()

    def look(self) -> None:
        """Pass by who is silent, and put who is slow at the end."""
        with self._changed:
            silent = [host for host in self._hosts.values() if self._is_silent(host)]
            for taker in [name for name in self._order if name not in self._slow]:
                self._judge(self._hosts[taker])
            self._try_another()
        for host in silent:
            self.exit(host.name)
            host.give_up()

    def _is_silent(self, host: _Host) -> bool:
        return host.name in self._order and self._now() - host.heard > SILENT

    def _judge(self, host: _Host) -> None:
        name = host.name
        rates = [(self._paces.rate(giver, name), giver) for giver in host.sources]
        found = next((pair for pair in rates if self._paces.is_slow(pair[1], name)), None)
        tried = self._paces.best.get((SENDER, name)) if name in self._tried else None
        could = self._paces.could_give(found[1] if found else SENDER, name)
        rate = found[0] if found else tried
        if rate is None or rate * FACTOR >= could:
            return
        self._slow.add(name)
        pace = f"{rate / _MB:.1f} MB/s where {could / _MB:.1f} could go"
        self._note(f"{name} is slow, {pace}: the others do not wait for it")
        self._put_last(name)

    def _put_last(self, name: str) -> None:
        order = [member.name for member in moved_to_end(self._members(), name)]
        if order != self._order:
            self._order = order
            self._relink()

    def _try_another(self) -> None:
        """Put another host first for once, where the first may be what is slow: nobody else could tell."""
        heads = [self._hosts[name] for name in self._order if self._hosts[name].from_sender]
        heads = [host for host in heads if not host.whole]
        if len(heads) != 1 or len(self._tried) >= len(_TRIAL_WORTH) or heads[0].name in self._tried:
            return
        head = heads[0]
        rate = self._paces.rate(SENDER, head.name, _TRIAL_WINDOW)
        if rate is None or head.left < rate * _TRIAL_WORTH[len(self._tried)] or not self._followers(head):
            return
        self._tried.append(head.name)
        self._put_last(head.name)

    def _followers(self, head: _Host) -> list[str]:
        """Return hosts that could stand first in its place."""
        others = [self._hosts[name] for name in self._order if name not in {*self._slow, *self._tried}]
        others = [host for host in others if host is not head and not host.whole]
        return [host.name for host in others if host.lacks & head.from_sender]


def _are_counts(counts: Any) -> bool:
    return (
        isinstance(counts, list)
        and len(counts) == 2  # noqa: PLR2004 - bytes sent, bytes behind
        and all(type(count) is int and count >= 0 for count in counts)
    )
