from __future__ import annotations

import pytest

from kit.ship.lanes.count import (
    FIRST,
    LARGEST_RECORD,
    LONG,
    MIB,
    MOST,
    SMALLEST_RECORD,
    LaneRate,
    first_lanes,
    lanes_wanted,
    record_size,
)

MUCH = 10_000 * MIB
NEAR, FAR = 0.001, 0.03


def grown(rate_of: dict[int, float], cores: int = 16, round_trip: float = FAR) -> list[int]:
    """Return the numbers of lanes that are had, one after another, on a line of these rates (MiB/s)."""
    had = [first_lanes(MUCH, round_trip)]
    rates: tuple[LaneRate, ...] = ()
    while len(had) < 8:
        rates = (*rates, LaneRate(had[-1], rate_of[had[-1]] * MIB))
        wanted = lanes_wanted(rates, cores, MUCH, round_trip)
        if wanted == had[-1]:
            break
        had.append(wanted)
    return had


def test_it_starts_with_two_or_one_where_there_is_little() -> None:
    assert first_lanes(MUCH, FAR) == FIRST
    assert first_lanes(3 * MIB, FAR) == 1


def test_on_a_long_line_all_are_there_at_once_or_few_where_there_is_little() -> None:
    assert first_lanes(MUCH, LONG) == MOST
    assert first_lanes(24 * MIB, LONG) == 3
    assert first_lanes(6 * MIB, LONG) == 1


def test_on_a_lossy_line_lanes_are_added_up_to_the_most() -> None:
    assert grown({2: 1.3, 4: 2.5, 8: 5.1}) == [2, 4, MOST]


def test_a_measurement_that_is_somewhat_low_does_not_end_the_growing() -> None:
    assert grown({2: 1.3, 4: 2.1, 8: 5.1}) == [2, 4, 8]


def test_on_a_narrow_line_what_did_not_pay_is_taken_back() -> None:
    assert grown({2: 2.4, 4: 2.4}) == [2, 4, 2]


def test_what_no_losses_can_explain_so_near_is_a_narrow_line_and_no_lane_is_tried() -> None:
    assert grown({2: 1.2}, round_trip=NEAR) == [2]
    assert grown({2: 1.2}, round_trip=0.0) == [2]
    assert grown({2: 25.0, 4: 25.0}, round_trip=NEAR) == [2, 4, 2]
    assert grown({2: 0.2}, round_trip=FAR) == [2]


def test_what_paid_a_little_stays_and_is_not_added_to() -> None:
    assert grown({2: 40.0, 4: 55.0}) == [2, 4]


@pytest.mark.parametrize(("cores", "lanes"), [(1, [2]), (2, [2]), (4, [2, 4]), (64, [2, 4, 8])])
def test_on_a_fast_line_processors_decide(cores: int, lanes: list[int]) -> None:
    assert grown({2: 400.0, 4: 700.0, 8: 1200.0}, cores) == lanes


def test_near_the_end_no_lane_is_added() -> None:
    assert lanes_wanted((LaneRate(2, 10 * MIB),), 16, 15 * MIB, FAR) == 2
    assert lanes_wanted((LaneRate(2, 10 * MIB),), 16, 25 * MIB, FAR) == 4


def test_lanes_that_were_lost_are_not_judged_as_a_gain() -> None:
    assert lanes_wanted((LaneRate(4, 10 * MIB), LaneRate(3, 8 * MIB)), 16, MUCH, FAR) == 3


def test_a_line_that_stood_still_does_not_divide_by_nothing() -> None:
    assert lanes_wanted((LaneRate(2, 0.0), LaneRate(4, 0.0)), 16, MUCH, FAR) == 4


def test_slow_lanes_take_a_frame_and_fast_ones_much_at_a_time() -> None:
    assert record_size(0.6 * MIB, 8, MUCH) == SMALLEST_RECORD
    assert record_size(20 * MIB, 4, MUCH) == 10 * MIB
    assert record_size(500 * MIB, 2, MUCH) == LARGEST_RECORD


def test_a_new_lane_begins_with_little() -> None:
    assert record_size(0, 2, MUCH) == SMALLEST_RECORD


def test_towards_the_end_lanes_take_less_so_that_they_end_together() -> None:
    assert record_size(500 * MIB, 2, 40 * MIB) == 10 * MIB
    assert record_size(500 * MIB, 2, 4 * MIB) == SMALLEST_RECORD
