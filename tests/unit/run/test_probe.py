from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kit.run.endpoint import Endpoint, Reply, event_of, reachable_address
from kit.run.probe import Probed, container_runs, wait_until_it_works
from tests.unit.run.fakes import FakeClock, FakeEngine, exited, running


def refuses_connections() -> Reply:
    raise ConnectionRefusedError("refused")


def answering(*replies: Callable[[], Reply] | Reply) -> Callable[[], Reply]:
    left = list(replies)

    def attempt() -> Reply:
        reply = left.pop(0) if len(left) > 1 else left[0]
        return reply if isinstance(reply, Reply) else reply()

    return attempt


def probe(
    attempt: Callable[[], Reply], *, runs: Callable[[], bool] = lambda: True, timeout: float = 60.0
) -> tuple[Probed, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    clock = FakeClock()
    return wait_until_it_works(attempt, runs, events.append, timeout=timeout, clock=clock), events


def test_it_is_asked_until_it_answers() -> None:
    found, _ = probe(
        answering(refuses_connections, refuses_connections, Reply(503, "loading"), Reply(200, ""))
    )
    assert (found.outcome, found.seconds) == ("ready", 0.75)


def test_waiting_is_told_now_and_then() -> None:
    _, events = probe(refuses_connections, timeout=11.0)
    assert [event["event"] for event in events] == ["waiting", "waiting"]


def test_a_container_that_ends_ends_the_waiting() -> None:
    assert probe(refuses_connections, runs=lambda: False)[0].outcome == "exited"


def test_a_request_that_is_wrong_is_not_tried_again() -> None:
    found, _ = probe(answering(Reply(401, "no key")))
    assert (found.outcome, found.detail) == ("refused", "status 401: no key")


def test_the_waiting_has_an_end() -> None:
    found, _ = probe(refuses_connections, timeout=2.0)
    assert (found.outcome, found.detail) == ("timed out", "refused")
    assert found.seconds == 2.0


def test_a_redirect_is_an_answer() -> None:
    assert Reply(307, "").works
    assert not Reply(404, "").works


def test_only_a_running_container_counts() -> None:
    engine = FakeEngine({"a": running(), "b": exited()})
    assert container_runs(engine, "a")
    assert not container_runs(engine, "b")
    assert not container_runs(engine, "c")


def test_a_server_for_all_addresses_is_reached_by_loopback() -> None:
    assert reachable_address("0.0.0.0") == "127.0.0.1"
    assert reachable_address("::") == "::1"
    assert reachable_address("10.0.0.11") == "10.0.0.11"
    assert Endpoint("::1", 80).url == "http://[::1]:80"


def test_a_key_is_not_shown() -> None:
    assert "s3cret" not in repr(Endpoint("::1", 80, api_key="s3cret"))


def test_lines_of_an_event_stream_are_read() -> None:
    assert event_of(b'data: {"a": 1}\n') == {"a": 1}
    for line in (b"", b"data: [DONE]", b": ping", b"data: 1", b"data: {"):
        assert event_of(line) is None
