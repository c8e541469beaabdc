from __future__ import annotations

import io
import json
from typing import Any

import pytest

from kit.cli import agent
from kit.errors import ConfigError, VerificationError


def ask(verb: str, stdin: bytes) -> tuple[int, list[dict[str, Any]]]:
    out = io.BytesIO()
    reader: io.BufferedReader = io.BufferedReader(io.BytesIO(stdin))
    status = agent.answer(verb, "/aisys/kit", reader, out)
    return status, [json.loads(line) for line in out.getvalue().splitlines()]


def echo(request: dict[str, Any], stdin: io.BufferedReader, emit: Any) -> dict[str, Any]:
    emit({"event": "reading"})
    return {"request": request, "rest": stdin.read().decode()}


def refuse(*_: Any) -> dict[str, Any]:
    raise VerificationError("damaged", where="/x", why="flipped", fix="again")


def break_down(*_: Any) -> dict[str, Any]:
    raise RuntimeError("oops")


VERBS: dict[str, Any] = {"echo": echo, "refuse": refuse, "break_down": break_down}


@pytest.fixture(autouse=True)
def _verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "find_verb", VERBS.__getitem__)


def test_a_verb_gets_its_request_the_root_and_the_bytes_that_follow() -> None:
    status, lines = ask("echo", b'{"a":1}\nraw bytes')
    assert status == 0
    assert lines == [
        {"event": "reading"},
        {"result": {"request": {"a": 1, "root": "/aisys/kit"}, "rest": "raw bytes"}},
    ]


def test_a_failure_is_told_with_its_exit_code() -> None:
    status, (line,) = ask("refuse", b"{}\n")
    assert status == 3
    assert line == {
        "error": {"what": "damaged", "where": "/x", "why": "flipped", "fix": "again", "exit_code": 3}
    }


def test_a_bug_is_told_as_one() -> None:
    status, (line,) = ask("break_down", b"{}\n")
    assert status == 1
    assert "RuntimeError: oops" in line["error"]["why"]


@pytest.mark.parametrize("request_line", [b"", b"hello\n", b"[]\n", b"\xff\n"])
def test_a_request_that_is_none_is_refused(request_line: bytes) -> None:
    status, (line,) = ask("echo", request_line)
    assert status == 6
    assert "request" in line["error"]["what"]


def test_verbs_of_shipping_and_running_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert callable(agent.find_verb("ship"))
    assert callable(agent.find_verb("write_run"))
    with pytest.raises(ConfigError, match="no verb"):
        agent.find_verb("format")
