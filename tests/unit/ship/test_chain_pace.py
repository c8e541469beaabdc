from __future__ import annotations

from kit.ship.chain.links import SENDER
from kit.ship.chain.pace import LEAST_BEHIND, Paces

MANY = 100 * LEAST_BEHIND


def run(paces: Paces, giver: str, taker: str, rate: int, behind: int = MANY, seconds: int = 8) -> None:
    for second in range(seconds):
        paces.note(giver, taker, float(second), rate * second, behind)


def arrive(paces: Paces, name: str, rate: int, seconds: int = 8) -> None:
    for second in range(seconds):
        paces.note_arrival(name, float(second), rate * second)


def test_a_rate_is_known_after_some_seconds() -> None:
    paces = Paces()
    run(paces, "a", "b", 10, seconds=5)
    assert paces.rate("a", "b") is None
    run(paces, "a", "b", 10, seconds=8)
    assert paces.rate("a", "b") == 10


def test_a_taker_that_waits_for_its_giver_has_no_rate_of_its_own() -> None:
    paces = Paces()
    run(paces, "a", "b", 10, behind=0)
    assert paces.rate("a", "b") is None
    arrive(paces, "a", 1000)
    assert not paces.is_slow("a", "b")


def test_a_host_is_slow_when_it_takes_far_less_than_comes_to_its_giver() -> None:
    paces = Paces()
    run(paces, "a", "b", 100)
    arrive(paces, "a", 290)
    assert not paces.is_slow("a", "b")
    arrive(paces, "a", 310)
    assert paces.is_slow("a", "b")


def test_the_first_is_slow_when_another_took_more_from_the_sender() -> None:
    paces = Paces()
    run(paces, SENDER, "a", 100)
    assert not paces.is_slow(SENDER, "a")
    run(paces, SENDER, "b", 400)
    assert paces.is_slow(SENDER, "a")
    assert not paces.is_slow(SENDER, "b")


def test_a_stalled_host_is_slow() -> None:
    paces = Paces()
    run(paces, "a", "b", 0)
    arrive(paces, "a", 5)
    assert paces.is_slow("a", "b")


def test_only_the_last_seconds_count() -> None:
    paces = Paces()
    for second in range(30):
        paces.note("a", "b", float(second), 100 * min(second, 10), MANY)
    assert paces.rate("a", "b") == 0


def test_what_filled_buffers_at_first_does_not_count_for_long() -> None:
    paces = Paces()
    for second in range(6):
        paces.note(SENDER, "a", float(second), 1000 + 10 * second if second else 0, MANY)
    assert paces.rate(SENDER, "a", window=3.0) == 10


def test_a_new_connection_counts_anew() -> None:
    paces = Paces()
    run(paces, "a", "b", 100)
    paces.note("a", "b", 9.0, 5, MANY)
    assert paces.rate("a", "b") is None
    run(paces, "a", "b", 100)
    paces.forget("a", "b")
    assert paces.rate("a", "b") is None
