from __future__ import annotations

import json
from typing import Any

import pytest

from kit.errors import EngineError
from kit.run.container import parse_inspected, parse_state, parse_time


def state(**overrides: Any) -> dict[str, Any]:
    found = {"Status": "exited", "Running": False, "ExitCode": 0, "OOMKilled": False, "Error": ""}
    return found | {"FinishedAt": "2026-01-02T03:04:05.5Z"} | overrides


def test_a_running_container_has_no_exit_code() -> None:
    found = parse_state(state(Status="running", Running=True, FinishedAt="0001-01-01T00:00:00Z"))
    assert (found.running, found.exit_code, found.finished) == (True, None, None)
    assert not found.succeeded


def test_a_container_about_to_restart_is_not_over() -> None:
    assert parse_state(state(Status="restarting", Restarting=True, ExitCode=1)).running


def test_success_is_status_0_without_an_error() -> None:
    assert parse_state(state()).succeeded
    assert not parse_state(state(ExitCode=1)).succeeded
    assert not parse_state(state(Status="created", Error="no such device")).succeeded


def test_times_with_nanoseconds_and_zones_are_read() -> None:
    assert parse_time("1970-01-01T00:00:10.123456789Z") == pytest.approx(10.123456789)
    assert parse_time("1970-01-01T01:00:10+01:00") == 10.0
    assert parse_time("0001-01-01T00:00:00Z") is None
    assert parse_time("yesterday") is None


def test_what_is_no_state_is_the_engines_failure() -> None:
    assert parse_inspected(json.dumps(state())).succeeded
    for text in ("", "{}", '{"Running": false}', "[]"):
        with pytest.raises(EngineError):
            parse_inspected(text)
