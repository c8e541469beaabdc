from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kit.errors import UnreachableError
from kit.host.port import Argv, Completed
from kit.ship.pace import TRIAL_SECONDS, Pace, keep_paces, load_paces, pace_key, parse_paces, try_pace
from tests.unit.cli.test_progress import Clock
from tests.unit.host.factories import host_spec
from tests.unit.host.test_gather import SayingHost

MB = 10**6


def test_a_pace_is_what_went_between_the_first_and_the_last_bytes() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now = 100.0
    for _ in range(11):
        pace.count(10 * MB)
        clock.now += 1
    assert pace.rate == pytest.approx(10 * MB)


@pytest.mark.parametrize("sizes", [(), (10**9,), (MB, MB)], ids=["nothing", "at-once", "little"])
def test_too_little_tells_no_pace(sizes: tuple[int, ...]) -> None:
    clock = Clock()
    pace = Pace(clock)
    for size in sizes:
        pace.count(size)
        clock.now += 1
    assert pace.rate is None


def test_paces_are_kept_by_address(tmp_path: Path) -> None:
    path = tmp_path / "state" / "paces.json"
    assert load_paces(path) == {}
    first, second = (pace_key(host_spec(address=f"10.0.0.{n}", user="ops")) for n in (1, 2))
    keep_paces(path, {first: 1.5e6})
    keep_paces(path, {second: 2e6})
    keep_paces(path, {})
    assert load_paces(path) == {first: 1.5e6, second: 2e6}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 100_000, '{"a": "x", "b": -1, "c": true, "d": 1e99, "e": NaN}']
)
def test_a_record_that_is_none_tells_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "paces.json"
    path.write_text(text)
    assert load_paces(path) == {}
    keep_paces(path, {"h": 5.0})
    assert json.loads(path.read_text()) == {"h": 5}


def test_a_record_that_cannot_be_written_is_nobodys_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    keep_paces(tmp_path / "state" / "paces.json", {"h": 5.0})
    assert load_paces(tmp_path / "state" / "paces.json") == {}


def test_numbers_alone_are_rates() -> None:
    assert parse_paces(b'{"a": 3, "b": 2.5, "c": null}') == {"a": 3.0, "b": 2.5}


class SlowHost(SayingHost):
    """Takes in a megabyte a second."""

    def __init__(self, clock: Clock, status: int = 0) -> None:
        super().__init__("")
        self.clock = clock
        self.status = status
        self.took = 0

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        del on_line
        assert argv[-1] == "cat >/dev/null"
        for chunk in chunks:
            self.took += len(chunk)
            self.clock.now += len(chunk) / MB
        return Completed(self.status, b"", b"")


def test_a_line_is_tried_for_a_moment() -> None:
    clock = Clock()
    host = SlowHost(clock)
    assert try_pace(host, clock) == pytest.approx(MB)
    assert clock.now <= 2 * TRIAL_SECONDS
    assert host.took < MB


def test_a_host_that_takes_nothing_has_no_pace() -> None:
    clock = Clock()
    assert try_pace(SlowHost(clock, status=127), clock) is None


def test_a_lost_line_is_told() -> None:
    class Gone(SlowHost):
        def stream(self, *_: object, **__: object) -> Completed:
            raise UnreachableError("gone")

    with pytest.raises(UnreachableError):
        try_pace(Gone(Clock()))
