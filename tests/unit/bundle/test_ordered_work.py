from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from kit.bundle.ordered_work import in_order


def test_results_come_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * 2

    assert list(in_order(work, range(50), threads=4)) == [item * 2 for item in range(50)]


@pytest.mark.parametrize("ahead", [0, 4, 16])
def test_few_items_are_held_at_a_time(ahead: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(100):
            taken += 1
            yield item

    for done in in_order(lambda item: item, items(), threads=2, ahead=ahead):
        assert taken - done <= 2 + ahead


def test_several_threads_work_at_once() -> None:
    both = threading.Barrier(2, timeout=10)
    assert len(list(in_order(lambda _: both.wait(), range(4), threads=2))) == 4


def test_a_failure_of_the_work_ends_it() -> None:
    def work(item: int) -> int:
        return 1 // (item - 3)

    with pytest.raises(ZeroDivisionError):
        list(in_order(work, range(1000), threads=2))


def test_a_failure_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("gone")

    with pytest.raises(ValueError, match="gone"):
        list(in_order(lambda item: item, items(), threads=2))
