"""The sender's side of a chain, with agents that only note what they are told, and a clock of its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from kit.ship.chain.chain import SILENT, Chain
from kit.ship.framed import FrameRanges

GIB = 1 << 30
RATE = 25_000_000
NEED: dict[str, FrameRanges] = {"x": ((0, 1000),)}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Agents:
    """A chain, and what was said to each host's agent."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.notes: list[str] = []
        self.said: dict[str, list[dict[str, Any]]] = {}
        self.given_up: list[str] = []
        self.chain = Chain(names, (1e9,), self.notes.append, self.clock)
        self.counts: dict[str, Any] = {name: {"came": {}, "given": {}} for name in names}

    def enter(self, name: str, need: Mapping[str, FrameRanges] | None = None, port: int = 1000) -> None:
        told = self.said.setdefault(name, [])
        self.chain.enter(
            name,
            lambda do, **more: told.append({"do": do, **more}),
            lambda: self.given_up.append(name),
            (name,),
        )
        self.chain.hear(name, {"event": "listening", "port": port, "gives": ["x", "y"]})
        if need is None:
            self.chain.hear(name, {"event": "whole"})
        else:
            self.chain.share(name, need)
            self.chain.owes(name, GIB)

    def sources(self, name: str) -> dict[str, list[str]]:
        """Return whom a host was last told to ask."""
        found = [said["hosts"] for said in self.said[name] if said["do"] == "sources"]
        return dict(found[-1]) if found else {}

    def nexts(self, name: str) -> list[str]:
        return [said["name"] for said in self.said[name] if said["do"] == "next"]

    def dos(self, name: str) -> list[str]:
        return [said["do"] for said in self.said[name]]

    def asks(self, name: str) -> list[str]:
        """Return whom a host gets anything from, as things are."""
        return ["", *self.sources(name)] if self.chain.is_from_sender(name, "x") else [*self.sources(name)]

    def arrival(self, name: str, able: Mapping[str, int]) -> int:
        """Return the bytes a second that come to a host: as fast as it can, or as they come to its giver."""
        return min(able[name], *(self.arrival(giver, able) for giver in self.asks(name) if giver), 1 << 60)

    def pass_seconds(self, seconds: int, able: Mapping[str, int]) -> None:
        """Let time pass; each host can take so many bytes a second."""
        for _ in range(seconds):
            self.clock.now += 1
            for name in able:
                rate = self.arrival(name, able)
                for giver in self.asks(name):
                    self.carry(giver, name, rate, behind=rate < (self.arrival(giver, able) if giver else 1))
            for name, counts in self.counts.items():
                self.chain.hear(name, {"event": "passing", **counts})
            self.chain.look()

    def carry(self, giver: str, taker: str, size: int, *, behind: bool) -> None:
        if not giver:
            self.chain.sent(taker, size)
            return
        came = self.counts[taker]["came"]
        came[giver] = came.get(giver, 0) + size
        self.counts[giver]["given"][taker] = [came[giver], behind * (8 << 20)]


def test_hosts_are_linked_in_the_order_in_which_they_come() -> None:
    agents = Agents("a", "b", "c")
    for name in ("b", "a", "c"):
        agents.enter(name, NEED)
    assert agents.sources("b") == {}
    assert agents.chain.is_from_sender("b", "x")
    assert agents.sources("a") == {"b": ["x"]}
    assert agents.sources("c") == {"a": ["x"]}
    assert (agents.nexts("b"), agents.nexts("a"), agents.nexts("c")) == (["a"], ["c"], [])
    assert next(said for said in agents.said["b"] if said["do"] == "next") == {
        "do": "next",
        "name": "a",
        "addresses": ["a"],
        "port": 1000,
    }


def test_the_key_of_a_host_is_said_to_that_host_alone() -> None:
    agents = Agents("a", "b")
    for name in "ab":
        agents.enter(name, NEED)
    keys = {name: agents.said[name][0]["key"] for name in "ab"}
    assert keys["a"] != keys["b"]
    assert "PRIVATE KEY" in keys["a"]
    assert keys["a"] not in str(agents.said["b"])
    assert agents.said["a"][0]["authority"] == agents.said["b"][0]["authority"]


def test_only_the_share_of_the_sender_is_sent() -> None:
    agents = Agents("a", "b")
    agents.enter("a", NEED)
    agents.enter("b", None)
    assert agents.chain.share("a", {"x": ((0, 3),), "z": ((0, 1),)}) == {"z": ((0, 1),)}


def test_whoever_lost_its_giver_gets_it_from_the_one_before() -> None:
    agents = Agents("a", "b", "c")
    for name in "abc":
        agents.enter(name, NEED)
    agents.chain.exit("b")
    assert agents.sources("c") == {"a": ["x"]}
    assert agents.nexts("a") == ["b", "c"]
    agents.chain.exit("a")
    assert agents.sources("c") == {}
    assert agents.chain.is_from_sender("c", "x")
    agents.chain.wait("c", NEED)  # Returns at once.


def test_a_lost_connection_is_told_of_once_and_gone_around() -> None:
    agents = Agents("a", "b", "c")
    for name in "abc":
        agents.enter(name, NEED)
    event = {"event": "successor_lost", "name": "c", "why": "no route", "connected": False}
    agents.chain.hear("b", event)
    agents.chain.hear("c", {**event, "event": "predecessor_lost", "name": "b"})
    assert agents.sources("c") == {"a": ["x"]}
    assert agents.notes == ["c gets nothing more from b but from a: no route"]
    agents.chain.hear("a", event)
    assert agents.chain.is_from_sender("c", "x")
    assert agents.notes[1] == "c gets nothing more from a but from this machine: no route"


def test_what_two_hosts_cannot_reach_no_third_one_tries() -> None:
    agents = Agents("a", "b", "c", "d")
    for name in "abcd":
        agents.enter(name, NEED)
    for giver in "cb":
        agents.chain.hear(giver, {"event": "successor_lost", "name": "d", "connected": False})
    assert agents.chain.is_from_sender("d", "x")
    assert "d" not in agents.nexts("a")


def test_nobody_is_let_go_before_all_have_everything_or_have_failed() -> None:
    agents = Agents("a", "b", "c")
    agents.enter("a")
    agents.enter("b", NEED)
    assert "release" not in agents.dos("a")
    agents.chain.hear("b", {"event": "whole"})
    assert "release" not in agents.dos("a")
    agents.chain.leave("c")
    assert agents.dos("a")[-1] == agents.dos("b")[-1] == "release"


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_nobody_gets_another_giver_because_hosts_have_everything(order: tuple[str, ...]) -> None:
    agents = Agents("a", "b", "c", "d")
    for name in "abcd":
        agents.enter(name, NEED)
    for name in order:
        before = {host: agents.nexts(host) for host in "abcd"}
        agents.chain.hear(name, {"event": "whole"})
        assert agents.sources(name) == {}
        assert {host: agents.nexts(host) for host in "abcd"} == before
        assert agents.sources("d") == {"c": ["x"]}


def whole_chain(*names: str) -> Agents:
    agents = Agents(*names)
    for name in names:
        agents.enter(name, NEED)
    return agents


def slow_ones(agents: Agents) -> list[str]:
    return [note.split(" is slow, ")[0] for note in agents.notes]


def test_a_slow_host_goes_to_the_end_and_is_told_of_once() -> None:
    agents = whole_chain("a", "b", "c")
    agents.chain.owes("a", 20 * RATE)
    agents.pass_seconds(20, {"a": RATE, "b": RATE // 10, "c": RATE})
    assert agents.chain.is_from_sender("a", "x")
    assert agents.sources("c") == {"a": ["x"]}
    assert agents.sources("b") == {"c": ["x"]}
    assert agents.notes == ["b is slow, 2.5 MB/s where 25.0 could go: the others do not wait for it"]


def test_hosts_that_keep_up_stay_where_they_are() -> None:
    agents = whole_chain("a", "b", "c")
    agents.chain.owes("a", 20 * RATE)
    agents.pass_seconds(20, {"a": RATE, "b": RATE, "c": RATE // 2})
    assert agents.sources("c") == {"b": ["x"]}
    assert not agents.notes


def test_a_slow_first_host_is_found_by_trying_another() -> None:
    agents = whole_chain("a", "b", "c")
    agents.pass_seconds(20, {"a": RATE // 10, "b": RATE, "c": RATE})
    assert slow_ones(agents) == ["a"]
    assert agents.sources("a")
    assert not agents.chain.is_from_sender("a", "x")


@pytest.mark.parametrize(("seconds_left", "head"), [(19, "a"), (40, "b"), (90, "c")])
def test_others_are_tried_while_enough_is_left_for_it_to_pay(seconds_left: int, head: str) -> None:
    agents = whole_chain("a", "b", "c", "d")
    for name in "abc":
        agents.chain.owes(name, seconds_left * RATE)
    agents.pass_seconds(12, dict.fromkeys("abcd", RATE))
    assert [name for name in "abcd" if agents.chain.is_from_sender(name, "x")] == [head]


def test_when_all_are_as_slow_as_the_first_nobody_is_blamed() -> None:
    agents = whole_chain("a", "b", "c")
    agents.pass_seconds(60, dict.fromkeys("abc", RATE // 10))
    assert not agents.notes
    assert len(agents.nexts("a") + agents.nexts("b") + agents.nexts("c")) <= 6


def test_two_slow_hosts_do_not_change_places_forever() -> None:
    agents = whole_chain("a", "b", "c", "d")
    agents.pass_seconds(200, {"a": RATE // 10, "b": RATE, "c": RATE // 20, "d": RATE})
    assert sorted(slow_ones(agents)) == ["a", "c"]
    assert sum(len(agents.nexts(name)) for name in "abcd") <= 16
    assert agents.chain.is_from_sender("b", "x") or agents.chain.is_from_sender("d", "x")


def test_a_host_that_says_nothing_more_is_given_up() -> None:
    agents = Agents("a", "b")
    for name in "ab":
        agents.enter(name, NEED)
    agents.clock.now = SILENT + 1
    agents.chain.hear("b", {"event": "passing", "came": {}, "given": {}})
    agents.chain.look()
    assert agents.given_up == ["a"]
    assert agents.chain.is_from_sender("b", "x")


def test_what_an_agent_says_wrongly_harms_nothing() -> None:
    agents = Agents("a", "b")
    for name in "ab":
        agents.enter(name, NEED)
    before = dict(agents.said)
    for event in (
        {"event": "passing"},
        {"event": "passing", "came": 7, "given": []},
        {"event": "passing", "came": {"a": "x", "b": -1}, "given": {"b": [1], "nobody": [1, 2], "a": "x"}},
        {"event": "successor_lost"},
        {"event": "predecessor_lost", "name": ""},
        {"event": "successor_lost", "name": "nobody"},
        {"event": "listening", "port": "x"},
        {"event": "listening", "port": 1 << 20, "gives": None},
        {"event": ["x"]},
    ):
        assert agents.chain.hear("a", event) == 0
    assert agents.said == before
    assert agents.sources("b") == {"a": ["x"]}


def test_bytes_that_came_from_other_hosts_are_counted_once() -> None:
    agents = Agents("a", "b")
    for name in "ab":
        agents.enter(name, NEED)
    event = {"event": "passing", "came": {"a": 100}, "given": {}}
    assert [agents.chain.hear("b", event), agents.chain.hear("b", event)] == [100, 0]
    assert agents.chain.hear("b", {**event, "came": {"a": 150}}) == 50


def test_a_host_that_cannot_listen_is_fed_and_gives() -> None:
    agents = Agents("a", "b", "c")
    agents.enter("a", NEED)
    agents.enter("b", NEED, port=0)
    agents.enter("c", NEED)
    assert agents.chain.is_from_sender("b", "x")
    assert agents.sources("c") == {"b": ["x"]}
