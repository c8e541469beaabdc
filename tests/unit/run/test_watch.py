from __future__ import annotations

from kit.run.watch import first_failure
from tests.unit.run.fakes import exited, running


def test_while_all_run_or_have_succeeded_nothing_failed() -> None:
    assert first_failure({"a": running(), "b": exited(0)}, {}) is None


def test_the_earliest_failure_is_the_cause() -> None:
    states = {"a": exited(1, at=105.0), "b": exited(1, at=101.0), "c": exited(0, at=1.0), "d": running()}
    assert first_failure(states, {}) == "b"


def test_clocks_of_hosts_are_set_right_before_times_are_compared() -> None:
    states = {"a": exited(1, at=105.0), "b": exited(1, at=101.0)}
    assert first_failure(states, {"a": 10.0}) == "a"


def test_a_rank_out_of_memory_is_the_cause_even_if_it_was_noticed_later() -> None:
    states = {"a": exited(1, at=101.0), "b": exited(137, at=105.0, out_of_memory=True)}
    assert first_failure(states, {}) == "b"


def test_a_container_that_is_gone_failed_but_others_tell_more() -> None:
    assert first_failure({"a": None, "b": running()}, {}) == "a"
    assert first_failure({"a": None, "b": exited(1)}, {}) == "b"
