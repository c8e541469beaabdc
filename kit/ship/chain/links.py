"""Which host gets what from whom: a chain for each blob, over the hosts that want it. Pure.

Hosts stand in one order. For a blob, those that held it when they came stand first, then those that
lacked it; each of these gets it from the one before. So a host passes on only what it wants itself, the
sender gives each byte once, to the first that lacked it, or not at all when somebody held it. A host
that has everything by now keeps its place: the others, who have it a moment later, would else be
linked anew for their last bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SENDER = ""
"""Stands for the sender among the names of hosts, none of which is empty."""
FANS = 2
"""Most hosts that one gives the same blob to: two at half the speed, when they cannot reach each other."""

Broken = frozenset[tuple[str, str]]
"""(giver, taker) pairs between which no connection holds."""


@dataclass(frozen=True, slots=True)
class Member:
    """A host that has joined the chain."""

    name: str
    gives: frozenset[str]
    """Digests of blobs that it holds or will hold."""
    lacks: frozenset[str]
    """Those of them of which it lacked frames when it came."""
    reachable: bool = True
    """Others can connect to it."""
    whole: bool = False
    """It has all frames by now."""


Sources = dict[str, dict[str, frozenset[str]]]
"""taker → giver (or SENDER) → digests of blobs"""


def sources_of(order: tuple[Member, ...], broken: Broken) -> Sources:
    """Return from whom each host gets each blob that it lacks; a whole one lacks none any more."""
    found: dict[str, dict[str, set[str]]] = {member.name: {} for member in order}
    for digest in sorted({digest for member in order for digest in member.lacks}):
        for taker, giver in _chain(digest, order, broken).items():
            found[taker].setdefault(giver, set()).add(digest)
    return {
        taker: {giver: frozenset(digests) for giver, digests in givers.items()}
        for taker, givers in found.items()
    }


def _chain(digest: str, order: tuple[Member, ...], broken: Broken) -> dict[str, str]:
    """Return taker → giver for one blob."""
    row = [member for member in order if digest in member.gives and digest not in member.lacks]
    fans = {member.name: 0 for member in row}
    found: dict[str, str] = {}
    for member in order:
        if digest not in member.lacks:
            continue
        if not member.whole:
            giver = found[member.name] = _giver(member, row, fans, broken)
            if giver != SENDER:
                fans[giver] += 1
        if digest in member.gives:
            row.append(member)
            fans[member.name] = 0
    return found


def _giver(taker: Member, row: list[Member], fans: Mapping[str, int], broken: Broken) -> str:
    """Return the last one before a host that can reach it; first of those that give to nobody yet."""
    if not taker.reachable:
        return SENDER
    able = [giver.name for giver in reversed(row) if (giver.name, taker.name) not in broken]
    able = [name for name in able if fans[name] < FANS]
    return min(able, key=lambda name: fans[name], default=SENDER)


def nexts_of(sources: Sources) -> dict[str, frozenset[str]]:
    """Return giver → hosts that get something from it."""
    found: dict[str, set[str]] = {name: set() for name in sources}
    for taker, givers in sources.items():
        for giver in givers:
            if giver != SENDER:
                found[giver].add(taker)
    return {name: frozenset(takers) for name, takers in found.items()}


def moved_to_end(order: tuple[Member, ...], name: str) -> tuple[Member, ...]:
    """Return the order with one host behind all others."""
    return (*(m for m in order if m.name != name), *(m for m in order if m.name == name))
