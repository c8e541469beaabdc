"""What kit's agent says over real sockets: to a served model, and to the engine."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kit.errors import EngineError, JobError
from kit.run.endpoint import Endpoint, chat, complete_one_token, open_page
from kit.run.engine_socket import EngineSocket
from tests.unit.run.test_access import write_pair

PIECES: tuple[dict[str, Any], ...] = (
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"reasoning_content": "hm"}}]},
    {"choices": [{"delta": {"content": "由 "}}]},
    {"choices": [{"delta": {"content": "kit"}}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "details": None}},
)


class Model(BaseHTTPRequestHandler):
    """A model server that answers, refuses or breaks by the name of the model."""

    seen: list[dict[str, Any]]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.send_response(307)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        if body["model"] == "unknown":
            self._send(404, json.dumps({"error": {"message": "no such model"}}).encode())
        elif body.get("stream"):
            odd = {"broken": {"error": "out of memory"}, "odd": body.get("odd")}.get(body["model"])
            pieces = PIECES if odd is None else (*PIECES[:3], odd)
            text = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
            self._send(200, text.encode())
        else:
            self._send(200, b'{"choices": [{"text": "x"}]}')

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def served() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    seen: list[dict[str, Any]] = []
    handler = type("Handler", (Model,), {"seen": seen})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield server.server_address[1], seen


@contextmanager
def running(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_one_token_is_asked_of_the_served_model(served: tuple[int, list[dict[str, Any]]]) -> None:
    port, seen = served
    assert complete_one_token(Endpoint("127.0.0.1", port, "m", "k")).works
    assert (seen[0]["path"], seen[0]["max_tokens"], seen[0]["key"]) == ("/v1/completions", 1, "Bearer k")


def test_a_model_that_is_not_served_is_a_refusal(served: tuple[int, list[dict[str, Any]]]) -> None:
    reply = complete_one_token(Endpoint("127.0.0.1", served[0], "unknown"))
    assert reply.refuses
    assert "no such model" in reply.text


def test_a_page_that_leads_on_is_an_answer(served: tuple[int, list[dict[str, Any]]]) -> None:
    assert open_page(Endpoint("127.0.0.1", served[0])).works


def test_where_nobody_listens_is_an_os_error() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as free:
        port = free.server_address[1]
    with pytest.raises(OSError, match="refused"):
        complete_one_token(Endpoint("127.0.0.1", port, "m"))


def test_an_answer_comes_piece_by_piece_and_whole(served: tuple[int, list[dict[str, Any]]]) -> None:
    port, seen = served
    events: list[dict[str, Any]] = []
    request = {"messages": [{"role": "user", "content": "断网"}]}
    answer = chat(Endpoint("127.0.0.1", port, "m"), request, events.append)
    assert (answer.text, answer.reasoning) == ("由 kit", "hm")
    assert dict(answer.usage) == {"prompt_tokens": 3, "completion_tokens": 2}
    assert [event["text"] for event in events] == ["", "由 ", "kit"]
    assert answer.seconds_to_first_token is not None
    assert seen[0]["messages"] == request["messages"]


def test_a_refusal_tells_the_models_own_words(served: tuple[int, list[dict[str, Any]]]) -> None:
    with pytest.raises(JobError) as caught:
        chat(Endpoint("127.0.0.1", served[0], "unknown"), {}, lambda _: None)
    assert caught.value.why == "no such model"


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": {"delta": 1}},
        {"choices": "text"},
        {"choices": [None]},
        {"choices": [{"delta": "text"}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": [{"delta": {"content": {"text": "kit"}}}]},
        {"choices": [{"delta": {"content": ["kit"]}}]},
        {"choices": [{"delta": {"reasoning": [1]}}]},
    ],
)
def test_what_is_no_chat_endpoint_is_told(
    served: tuple[int, list[dict[str, Any]]], odd: dict[str, Any]
) -> None:
    with pytest.raises(JobError, match="no chat endpoint") as caught:
        chat(Endpoint("127.0.0.1", served[0], "odd"), {"odd": odd}, lambda _: None)
    assert json.dumps(odd) in caught.value.why


def test_counts_that_are_none_are_left_out(served: tuple[int, list[dict[str, Any]]]) -> None:
    odd = {"choices": [], "usage": [3, 2]}
    assert chat(Endpoint("127.0.0.1", served[0], "odd"), {"odd": odd}, lambda _: None).usage == ()


def test_a_model_that_breaks_while_it_answers_is_a_failure(served: tuple[int, list[dict[str, Any]]]) -> None:
    with pytest.raises(JobError, match="failed to answer"):
        chat(Endpoint("127.0.0.1", served[0], "broken"), {}, lambda _: None)


STATE = {"Status": "running", "Running": True, "ExitCode": 0}


class EngineHandler(BaseHTTPRequestHandler):
    """The engine's HTTP interface, as far as kit uses it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        status, body = self._answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[int, bytes]:
        if self.path == "/containers/kit-train/json":
            return 200, json.dumps({"Id": "x", "State": STATE}).encode()
        if self.path.startswith("/containers/kit-train/logs?") and "tail=2" in self.path:
            return 200, b"\x01\0\0\0\0\0\0\x04out\n" + b"\x02\0\0\0\0\0\0\x04err\n"
        if self.path == "/containers/broken/json":
            return 500, b"oh"
        return 404, b'{"message": "No such container"}'


class UnixServer(socketserver.ThreadingUnixStreamServer):
    """An HTTP server on a Unix socket."""

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)  # the handler wants an address to log


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineSocket]:
    path = str(tmp_path / "engine.sock")
    with running(UnixServer(path, EngineHandler)):
        yield EngineSocket(path)


def test_the_engine_tells_how_a_container_stands(engine: EngineSocket) -> None:
    found = engine.state("kit-train")
    assert found is not None
    assert found.running
    assert engine.state("another") is None


def test_the_engine_gives_a_log_without_its_frames(engine: EngineSocket) -> None:
    assert b"".join(engine.logs("kit-train", 2)) == b"out\nerr\n"


def test_an_engine_that_refuses_or_is_away_is_an_engine_error(engine: EngineSocket, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not show it"):
        engine.state("broken")
    with pytest.raises(EngineError, match="no log"):
        list(engine.logs("another", 2))
    with pytest.raises(EngineError, match="does not answer"):
        EngineSocket(str(tmp_path / "nowhere")).state("kit-train")


@contextmanager
def secured(server: ThreadingHTTPServer, folder: Path) -> Iterator[None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "serve.pem", folder / "serve.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_an_endpoint_with_tls_must_show_its_very_certificate(tmp_path: Path) -> None:
    own, other = write_pair(tmp_path), write_pair(tmp_path, "other")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    with secured(server, tmp_path):
        port = server.server_address[1]
        endpoint = Endpoint("127.0.0.1", port, "m", tls=True, certificate=own)
        assert endpoint.url == f"https://127.0.0.1:{port}"
        assert open_page(endpoint).works
        with pytest.raises(ssl.SSLCertVerificationError):
            open_page(Endpoint("127.0.0.1", port, "m", tls=True, certificate=other))
