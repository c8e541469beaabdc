from __future__ import annotations

from kit.ship.lanes.count import LONG, MIB, MOST
from kit.ship.lanes.growth import Growth

MUCH = 10_000 * MIB
FAR = 0.03


class Line:
    """A line that carries so much with so many lanes, looked at four times a second."""

    def __init__(self, growth: Growth) -> None:
        self.growth = growth
        self.now = 100.0
        self.sent = 0.0
        self.had = [growth.target]

    def go(self, seconds: float, rates: dict[int, float], left: int = MUCH) -> list[int]:
        """Let it run; return the numbers of lanes that there were."""
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            self.sent += rates[self.growth.target] * MIB / 4
            self.growth.look(self.now, self.growth.target, int(self.sent), left)
            if self.growth.target != self.had[-1]:
                self.had.append(self.growth.target)
        return self.had


def test_lanes_are_added_one_step_after_another_while_that_pays() -> None:
    line = Line(Growth(16, MUCH, FAR))
    assert line.go(2.25, {2: 1}) == [2]
    assert line.go(10, {2: 1, 4: 2, 8: 4}) == [2, 4, 8]


def test_what_did_not_pay_is_taken_back_and_stays_so() -> None:
    assert Line(Growth(16, MUCH, FAR)).go(60, {2: 10, 4: 10}) == [2, 4, 2]


def test_nothing_is_judged_while_lanes_are_missing() -> None:
    growth = Growth(16, MUCH, FAR)
    for tick in range(100):
        growth.look(tick / 4, 1, tick * MIB, MUCH)
    assert growth.target == 2


def test_the_first_second_of_new_lanes_does_not_count() -> None:
    growth = Growth(1, MUCH, FAR)
    growth.look(0.0, 2, 0, MUCH)
    growth.look(1.0, 2, 1000 * MIB, MUCH)
    growth.look(2.5, 2, 1001 * MIB, MUCH)
    assert growth.target == 4, "what was seen is 1 MiB in 1.5 s, not a fast line"


def test_a_line_that_falls_behind_what_it_showed_is_judged_anew() -> None:
    line = Line(Growth(16, MUCH, FAR))
    assert line.go(20, {2: 10, 4: 10}) == [2, 4, 2]
    assert line.go(30, {2: 1, 4: 2, 8: 4}) == [2, 4, 2, 4, 8]


def test_a_host_that_takes_no_more_is_asked_for_no_more() -> None:
    growth = Growth(16, MUCH, FAR)
    growth.stop(3)
    line = Line(growth)
    assert line.go(60, {3: 1}) == [3]


def test_a_line_that_stood_still_at_first_gets_its_lanes_later() -> None:
    line = Line(Growth(16, MUCH, FAR))
    assert line.go(10, {2: 0}) == [2]
    assert line.go(20, {2: 1, 4: 2, 8: 4}) == [2, 4, 8]


def test_all_lanes_of_a_long_line_stay() -> None:
    growth = Growth(2, MUCH, LONG)
    assert Line(growth).go(60, {MOST: 5}) == [MOST]
