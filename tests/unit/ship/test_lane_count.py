from __future__ import annotations

import pytest

from kit.ship.lanes.count import (
    FIRST,
    LARGEST_RECORD,
    MIB,
    MOST,
    SMALLEST_RECORD,
    LaneRate,
    lanes_wanted,
    record_size,
)

MUCH = 10_000 * MIB


def grown(rate_of: dict[int, float], cores: int = 16, left: int = MUCH) -> list[int]:
    """Return the numbers of lanes that are had, one after another, on a line of these rates (MiB/s)."""
    had = [lanes_wanted((), cores, left)]
    rates: tuple[LaneRate, ...] = ()
    while len(had) < 8:
        rates = (*rates, LaneRate(had[-1], rate_of[had[-1]] * MIB))
        wanted = lanes_wanted(rates, cores, left)
        if wanted == had[-1]:
            break
        had.append(wanted)
    return had


def test_it_starts_with_two_or_one_where_there_is_little() -> None:
    assert lanes_wanted((), 16, MUCH) == FIRST
    assert lanes_wanted((), 16, 3 * MIB) == 1


def test_on_a_lossy_line_lanes_are_added_up_to_the_most() -> None:
    assert grown({2: 1.3, 4: 2.5, 8: 5.1}) == [2, 4, MOST]


def test_a_measurement_that_is_somewhat_low_does_not_end_the_growing() -> None:
    assert grown({2: 1.3, 4: 2.1, 8: 5.1}) == [2, 4, 8]


def test_on_a_narrow_line_what_did_not_pay_is_taken_back() -> None:
    assert grown({2: 2.4, 4: 2.4}) == [2, 4, 2]


def test_what_paid_a_little_stays_and_is_not_added_to() -> None:
    assert grown({2: 40.0, 4: 55.0}) == [2, 4]


@pytest.mark.parametrize(("cores", "lanes"), [(1, [2]), (2, [2]), (4, [2, 4]), (64, [2, 4, 8])])
def test_on_a_fast_line_processors_decide(cores: int, lanes: list[int]) -> None:
    assert grown({2: 400.0, 4: 700.0, 8: 1200.0}, cores) == lanes


def test_a_fast_line_that_was_taken_for_a_long_one_goes_back_to_what_processors_carry() -> None:
    assert lanes_wanted((LaneRate(8, 300 * MIB),), 2, MUCH) == 2
    assert lanes_wanted((LaneRate(8, 300 * MIB),), 4, MUCH) == 4
    assert lanes_wanted((LaneRate(8, 110 * MIB),), 2, MUCH) == 8
    assert lanes_wanted((LaneRate(4, 150 * MIB), LaneRate(8, 300 * MIB)), 2, MUCH) == 8


def test_near_the_end_no_lane_is_added() -> None:
    assert lanes_wanted((LaneRate(2, 10 * MIB),), 16, 15 * MIB) == 2
    assert lanes_wanted((LaneRate(2, 10 * MIB),), 16, 25 * MIB) == 4


def test_lanes_that_were_lost_are_not_judged_as_a_gain() -> None:
    assert lanes_wanted((LaneRate(4, 10 * MIB), LaneRate(3, 8 * MIB)), 16, MUCH) == 3


def test_a_line_that_stood_still_does_not_divide_by_nothing() -> None:
    assert lanes_wanted((LaneRate(2, 0.0), LaneRate(4, 0.0)), 16, MUCH) == 8


def test_slow_lanes_take_a_frame_and_fast_ones_much_at_a_time() -> None:
    assert record_size(0.6 * MIB, 8, MUCH) == SMALLEST_RECORD
    assert record_size(20 * MIB, 4, MUCH) == 10 * MIB
    assert record_size(500 * MIB, 2, MUCH) == LARGEST_RECORD


def test_a_new_lane_begins_with_little() -> None:
    assert record_size(0, 2, MUCH) == SMALLEST_RECORD


def test_towards_the_end_lanes_take_less_so_that_they_end_together() -> None:
    assert record_size(500 * MIB, 2, 40 * MIB) == 10 * MIB
    assert record_size(500 * MIB, 2, 4 * MIB) == SMALLEST_RECORD
