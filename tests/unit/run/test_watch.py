from __future__ import annotations

from kit.jobs.launch import Launch
from kit.run.container import ContainerState
from kit.run.watch import first_failure, may_go_on
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


def test_an_elastic_training_goes_on_without_as_many_hosts_as_it_may_lose() -> None:
    def goes_on(may_lose: int, **states: ContainerState | None) -> bool:
        return may_go_on(Launch("train", "train", "run", (), rank_zero="a", may_lose=may_lose), states)

    assert goes_on(1, a=running(), b=exited(137))
    assert goes_on(1, a=running(), b=None)
    assert goes_on(1, a=exited(0), b=exited(1))
    assert not goes_on(1, a=running(), b=exited(137), c=exited(137))
    assert not goes_on(0, a=running(), b=exited(137))
    assert not goes_on(1, a=exited(1), b=running())
