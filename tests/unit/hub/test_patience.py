from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from time import time

import pytest

from kit.errors import TransferError, UnreachableError
from kit.hub.patience import ENOUGH, Patience, persist
from kit.hub.port import Passing
from kit.hub.requests_download import asked_wait


def failing(times: int, wait: float | None = None) -> Callable[[], str]:
    left = iter(range(times))

    def action() -> str:
        if next(left, None) is None:
            return "done"
        raise Passing(TransferError("the connection broke", where="hub: file", fix="again"), wait)

    return action


def patience(pauses: list[float], attempts: int = 4) -> Patience:
    return Patience(attempts=attempts, sleep=pauses.append)


def test_pauses_double_and_are_told() -> None:
    pauses: list[float] = []
    lines: list[str] = []
    assert persist(failing(3), patience(pauses), lines.append) == "done"
    for pause, middle in zip(pauses, (1, 2, 4), strict=True):
        assert 0.75 * middle <= pause <= 1.25 * middle
    assert len(lines) == 3
    assert "hub: file: the connection broke; again in" in lines[0]


def test_a_pause_never_grows_beyond_its_limit() -> None:
    assert max(Patience().pause(failures, None) for failures in range(1, 40)) <= 30 * 1.25


def test_what_the_server_asks_for_is_what_it_gets() -> None:
    pauses: list[float] = []
    persist(failing(2, 42.0), patience(pauses), lambda _: None)
    assert pauses == [42.0, 42.0]


def test_the_last_failure_is_raised_with_the_number_of_attempts() -> None:
    with pytest.raises(TransferError, match=r"broke \(tried 4 times\)") as caught:
        persist(failing(9), patience([]), lambda _: None)
    assert caught.value.fix == "again"


def test_progress_makes_an_attempt_count_as_a_first_failure() -> None:
    here = iter(range(0, ENOUGH * 100, ENOUGH))
    assert persist(failing(50), patience([]), lambda _: None, lambda: next(here)) == "done"
    crawl = iter(range(100))
    with pytest.raises(TransferError):
        persist(failing(50), patience([]), lambda _: None, lambda: next(crawl))


def test_other_failures_are_not_tried_again() -> None:
    calls: list[int] = []

    def action() -> None:
        calls.append(1)
        raise UnreachableError("no such host")

    with pytest.raises(UnreachableError):
        persist(action, patience([]), lambda _: None)
    assert calls == [1]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("", None), ("7", 7), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_read(header: str | None, seconds: float | None) -> None:
    assert asked_wait(header) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert asked_wait(formatdate(time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
