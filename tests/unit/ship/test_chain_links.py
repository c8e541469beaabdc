from __future__ import annotations

from kit.ship.chain.links import SENDER, Member, moved_to_end, nexts_of, sources_of

ALL = frozenset({"x", "y"})
NOTHING: frozenset[str] = frozenset()


def lacking(name: str, lacks: frozenset[str] = ALL, gives: frozenset[str] = ALL, **more: bool) -> Member:
    return Member(name, gives, lacks, **more)


def test_hosts_that_lack_the_same_stand_in_one_chain() -> None:
    found = sources_of((lacking("a"), lacking("b"), lacking("c")), frozenset())
    assert found == {"a": {SENDER: ALL}, "b": {"a": ALL}, "c": {"b": ALL}}
    assert nexts_of(found) == {"a": {"b"}, "b": {"c"}, "c": NOTHING}


def test_a_host_that_holds_a_blob_gives_it_without_the_sender() -> None:
    found = sources_of((lacking("a"), lacking("b", NOTHING), lacking("c")), frozenset())
    assert found == {"a": {"b": ALL}, "b": {}, "c": {"a": ALL}}


def test_a_host_that_has_everything_by_now_keeps_its_place() -> None:
    found = sources_of((lacking("a"), lacking("b", whole=True), lacking("c")), frozenset())
    assert found == {"a": {SENDER: ALL}, "b": {}, "c": {"b": ALL}}
    assert sources_of((lacking("b", whole=True), lacking("a")), frozenset())["a"] == {"b": ALL}


def test_a_host_passes_on_only_what_it_wants_itself() -> None:
    x, y = frozenset("x"), frozenset("y")
    found = sources_of((lacking("a"), lacking("b", y, y), lacking("c", x, x)), frozenset())
    assert found == {"a": {SENDER: ALL}, "b": {"a": y}, "c": {"a": x}}


def test_hosts_with_nothing_in_common_are_fed_by_the_sender() -> None:
    x, y = frozenset("x"), frozenset("y")
    found = sources_of((lacking("a", x, x), lacking("b", y, y)), frozenset())
    assert found == {"a": {SENDER: x}, "b": {SENDER: y}}


def test_a_pair_that_does_not_hold_is_passed_by() -> None:
    order = (lacking("a"), lacking("b"), lacking("c"))
    assert sources_of(order, frozenset({("b", "c")}))["c"] == {"a": ALL}
    assert sources_of(order, frozenset({("b", "c"), ("a", "c")}))["c"] == {SENDER: ALL}


def test_a_host_gives_to_two_at_most() -> None:
    order = tuple(lacking(name) for name in "abcd")
    broken = frozenset({("b", "c"), ("b", "d"), ("c", "d")})
    assert sources_of(order, broken) == {
        "a": {SENDER: ALL},
        "b": {"a": ALL},
        "c": {"a": ALL},
        "d": {SENDER: ALL},
    }


def test_an_unreachable_host_is_fed_by_the_sender_and_gives_to_others() -> None:
    order = (lacking("a"), lacking("b", reachable=False), lacking("c"))
    assert sources_of(order, frozenset()) == {"a": {SENDER: ALL}, "b": {SENDER: ALL}, "c": {"b": ALL}}


def test_what_no_other_host_can_give_comes_from_the_sender() -> None:
    order = (lacking("a", gives=frozenset("x")), lacking("b"))
    found = sources_of(order, frozenset())
    assert found["b"] == {"a": frozenset("x"), SENDER: frozenset("y")}


def test_the_slow_go_to_the_end() -> None:
    order = (lacking("a"), lacking("b"), lacking("c"))
    moved = moved_to_end(order, "a")
    assert [member.name for member in moved] == ["b", "c", "a"]
    assert sources_of(moved, frozenset())["a"] == {"c": ALL}
