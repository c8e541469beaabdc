from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kit.errors import (
    EngineError,
    KitError,
    TransferError,
    UnfitError,
    VerificationError,
)
from kit.host.agent import agent_argv, call_agent, error_document
from kit.host.port import Argv, Completed
from tests.unit.host.deaf_host import DeafHost
from tests.unit.host.factories import host_facts

TAG = "kit.invalid/kit:0123456789ab"


class AgentHost(DeafHost):
    """A host whose agent answers with given lines."""

    name = "gpu1"

    def __init__(self, *lines: Any, status: int = 0, stderr: bytes = b"") -> None:
        self.lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        self.status = status
        self.stderr = stderr
        self.argv: Argv = ()
        self.stdin = b""

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        self.argv, self.stdin = argv, b"".join(chunks)
        assert on_line is not None
        for line in self.lines:
            on_line(line)
        return Completed(self.status, b"", self.stderr)

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        raise AssertionError(argv, stdin, timeout)

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        raise AssertionError(argv, sink, stdin)

    def close(self) -> None:
        pass


def call(host: AgentHost, **more: Any) -> dict[str, Any]:
    return call_agent(host, host_facts(), TAG, "ship", {"a": 1}, **more)


def test_the_agent_runs_as_the_login_user_without_pulling_or_logging() -> None:
    argv = agent_argv(host_facts(uid=1000, gid=1001, docker_gid=998, root="/data/kit"), TAG, "ship")
    text = " ".join(argv)
    assert text.startswith("docker run --rm -i ")
    for part in (
        "--pull never",
        "--network host",
        "--log-driver none",
        "--user 1000:1001",
        "--group-add 998",
        "-v /data/kit:/data/kit",
        "-v /var/run/docker.sock:/var/run/docker.sock",
        f"{TAG} agent ship --root /data/kit",
    ):
        assert part in text


def test_without_a_socket_there_is_no_group_to_add() -> None:
    assert "--group-add" not in agent_argv(host_facts(docker_gid=None), TAG, "ship")


def test_request_and_bytes_go_in_events_and_result_come_out() -> None:
    events: list[dict[str, Any]] = []
    host = AgentHost({"event": "loading", "image": "x"}, {"event": "placing"}, {"result": {"done": True}})
    assert call(host, chunks=(b"raw", b"bytes"), on_event=events.append) == {"done": True}
    assert host.stdin == b'{"a":1}\nrawbytes'
    assert [event["event"] for event in events] == ["loading", "placing"]


@pytest.mark.parametrize("kind", [VerificationError, UnfitError, TransferError, EngineError])
def test_an_error_there_is_the_same_error_here(kind: type[KitError]) -> None:
    sent = kind("what", where="/aisys/kit/x", why="why", fix="fix")
    with pytest.raises(kind) as caught:
        call(AgentHost({"error": error_document(sent)}, status=sent.exit_code))
    assert (caught.value.what, caught.value.why, caught.value.fix) == ("what", "why", "fix")
    assert caught.value.where == "gpu1: /aisys/kit/x"


@pytest.mark.parametrize("error", [None, "text", {}, {"what": 5, "exit_code": "x"}, {"exit_code": 99}])
def test_an_error_that_makes_no_sense_is_still_an_error(error: Any) -> None:
    with pytest.raises(KitError, match="gpu1"):
        call(AgentHost({"error": error}))


@pytest.mark.parametrize("line", [b"hello", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_the_agent_is_not_believed(line: bytes) -> None:
    with pytest.raises(TransferError, match="not kit's agent"):
        call(AgentHost(line))


def test_a_missing_image_is_mended_by_shipping() -> None:
    stderr = b"docker: Error response from daemon: No such image: kit.invalid/kit:0123456789ab."
    with pytest.raises(UnfitError) as caught:
        call(AgentHost(status=125, stderr=stderr))
    assert caught.value.fix == "kit ship"


def test_an_engine_that_refuses_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="permission denied"):
        call(AgentHost(status=126, stderr=b"docker: permission denied"))


def test_silence_is_no_success() -> None:
    with pytest.raises(TransferError, match="without an answer"):
        call(AgentHost(status=0))
