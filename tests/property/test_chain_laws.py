"""Laws of chains. Whatever hosts hold and lack, and whoever cannot reach whom: each gets every blob that it
lacks from exactly one giver, who holds it or gets it; following givers ends at the sender or a holder. While
all reach all, the sender gives each blob to one host at most.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ship.chain.backlog import Backlog
from kit.ship.chain.links import FANS, SENDER, Member, nexts_of, sources_of
from kit.ship.chain.wire import Want
from kit.ship.framed import ranges_of
from tests.unit.ship.memory_intake import MemoryIntake, noise_blob

pytestmark = pytest.mark.property

BLOBS = ("u", "v", "w", "x")
NAMES = ("a", "b", "c", "d", "e", "f")
some_blobs = st.frozensets(st.sampled_from(BLOBS))


@st.composite
def members(draw: st.DrawFn) -> tuple[Member, ...]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    found = []
    for name in names:
        gives = draw(some_blobs)
        lacks = frozenset(blob for blob in gives if draw(st.booleans()))
        found.append(Member(name, gives, lacks, draw(st.booleans()), draw(st.booleans())))
    return tuple(found)


pairs = st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)))


@given(members(), pairs)
def test_everybody_gets_everything_from_one_who_has_it_in_the_end(
    order: tuple[Member, ...], broken: frozenset[tuple[str, str]]
) -> None:
    by_name = {member.name: member for member in order}
    sources = sources_of(order, broken)
    assert sources.keys() == by_name.keys()
    fans: Counter[tuple[str, str]] = Counter()
    for member in order:
        got = [digest for blobs in sources[member.name].values() for digest in blobs]
        assert sorted(got) == sorted(() if member.whole else member.lacks)
        for giver, blobs in sources[member.name].items():
            fans.update((giver, digest) for digest in blobs)
            assert giver == SENDER or (member.reachable and blobs <= by_name[giver].gives)
            assert (giver, member.name) not in broken
    assert all(count <= FANS for (giver, _), count in fans.items() if giver != SENDER)
    for member in order:
        for digest in member.lacks:
            _follow(digest, member, by_name, sources)


def _follow(
    digest: str,
    member: Member,
    by_name: dict[str, Member],
    sources: dict[str, dict[str, frozenset[str]]],
) -> None:
    seen = set()
    while digest in member.lacks and not member.whole:
        assert member.name not in seen, "a circle"
        seen.add(member.name)
        giver = next(name for name, blobs in sources[member.name].items() if digest in blobs)
        if giver == SENDER:
            return
        member = by_name[giver]


@given(members(), st.data())
def test_hosts_that_get_whole_move_nobody(order: tuple[Member, ...], data: st.DataObject) -> None:
    order = tuple(replace(member, reachable=True, whole=False) for member in order)
    before = sources_of(order, frozenset())
    whole = data.draw(st.sets(st.sampled_from([member.name for member in order]))) if order else set()
    after = sources_of(tuple(replace(m, whole=m.name in whole) for m in order), frozenset())
    assert after == {name: {} if name in whole else givers for name, givers in before.items()}


@given(members())
def test_the_sender_gives_each_blob_once_at_most(order: tuple[Member, ...]) -> None:
    order = tuple(Member(member.name, member.gives, member.lacks) for member in order)
    sources = sources_of(order, frozenset())
    given_by_sender = Counter(digest for givers in sources.values() for digest in givers.get(SENDER, ()))
    assert all(count == 1 for count in given_by_sender.values())
    held = {digest for member in order for digest in member.gives - member.lacks}
    assert not held & given_by_sender.keys()


@given(members(), pairs)
def test_givers_know_exactly_who_asks_them(
    order: tuple[Member, ...], broken: frozenset[tuple[str, str]]
) -> None:
    sources = sources_of(order, broken)
    asked = {(giver, taker) for taker, givers in sources.items() for giver in givers if giver != SENDER}
    assert {(giver, taker) for giver, takers in nexts_of(sources).items() for taker in takers} == asked


BLOB, PIECES = noise_blob(1, 12)
DIGEST = BLOB.blob.digest
numbers = st.sets(st.integers(0, 11))


@given(st.lists(st.tuples(st.sampled_from(("want", "arrive", "take")), numbers), max_size=12))
def test_a_backlog_gives_what_is_asked_and_here_each_once(steps: list[tuple[str, set[int]]]) -> None:
    intake = MemoryIntake({DIGEST: BLOB})
    backlog = Backlog(intake, {DIGEST: BLOB})
    asked: set[int] = set()
    given_out: list[int] = []

    def take_all() -> None:
        while (item := backlog.take(0)) is not None:
            given_out.append(item[1])
            backlog.gave(*item)

    for step, found in (*steps, ("take", set())):
        if step == "want":
            asked = found
            backlog.want(Want({DIGEST: ranges_of(sorted(found))}, {}))
        elif step == "arrive":
            for number in found:
                intake.write(DIGEST, number, PIECES[number])
                backlog.arrived(DIGEST, number, number + 1)
        else:
            take_all()
            assert backlog.behind == 0
    assert len(given_out) == len(set(given_out))
    assert set(given_out) <= set(intake.frames[DIGEST])
    assert asked & set(intake.frames[DIGEST]) <= set(given_out)
