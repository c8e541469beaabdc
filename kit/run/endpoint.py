"""Talking to what a job listens with, on the host itself: HTTP, or HTTPS with the job's own certificate."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 600.0
"""Longest silence of an endpoint that has taken a request."""
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_SHOWN = 200
"""Characters of an odd answer that an error shows."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a job listens."""

    address: str
    port: int
    model: str = ""
    api_key: str = field(default="", repr=False)
    tls: bool = False
    certificate: str = field(default="", repr=False)
    """The one that it must show, PEM."""

    @property
    def url(self) -> str:
        """Its address as a browser writes it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def reachable_address(bind: str) -> str:
    """Return the address that leads to a server bound to `bind` on the same host. Pure."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(bind, bind)  # noqa: S104 - no binding here


def _connection(endpoint: Endpoint) -> http.client.HTTPConnection:
    if not endpoint.tls:
        return http.client.HTTPConnection(endpoint.address, endpoint.port, timeout=CONNECT_SECONDS)
    import ssl

    # That very certificate counts, whatever name it bears: the host is asked at its own loopback.
    context = ssl.create_default_context(cadata=endpoint.certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    address, port = endpoint.address, endpoint.port
    return http.client.HTTPSConnection(address, port, timeout=CONNECT_SECONDS, context=context)


@contextmanager
def _reply(
    endpoint: Endpoint, method: str, path: str, body: dict[str, Any] | None
) -> Iterator[http.client.HTTPResponse]:
    connection = _connection(endpoint)
    headers = {"Content-Type": "application/json"}
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        yield connection.getresponse()
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered to a try."""

    status: int
    text: str
    """The beginning of its body."""

    @property
    def works(self) -> bool:
        """The endpoint did what it is there for."""
        return self.status < _FIRST_ERROR

    @property
    def refuses(self) -> bool:
        """It will not do better by waiting: the request is wrong, not the time."""
        return _FIRST_ERROR <= self.status < _FIRST_SERVER_ERROR


def _read(answer: http.client.HTTPResponse) -> Reply:
    return Reply(answer.status, answer.read()[:500].decode("utf-8", "replace").strip())


def complete_one_token(endpoint: Endpoint) -> Reply:
    """Ask for a completion of one token. Raises OSError or HTTPException while nobody answers."""
    body = {"model": endpoint.model, "prompt": "1", "max_tokens": 1, "temperature": 0}
    with _reply(endpoint, "POST", "/v1/completions", body) as answer:
        return _read(answer)


def answer_one_token(endpoint: Endpoint) -> Reply:
    """Ask for an answer of one token. Raises OSError or HTTPException while nobody answers."""
    body = {"model": endpoint.model, "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
    with _reply(endpoint, "POST", "/v1/chat/completions", body) as answer:
        return _read(answer)


def open_page(endpoint: Endpoint) -> Reply:
    """Ask for the first page. Raises OSError or HTTPException while nobody answers."""
    with _reply(endpoint, "GET", "/", None) as answer:
        return _read(answer)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said."""

    text: str
    reasoning: str
    usage: tuple[tuple[str, int], ...]
    """Tokens by kind, as the endpoint counts them."""
    seconds: float
    seconds_to_first_token: float | None


def event_of(line: bytes) -> dict[str, Any] | None:
    """Return the object in a line of a server-sent event stream, or None. Pure."""
    payload = line.strip()
    if not payload.startswith(b"data:") or payload.endswith(b"[DONE]"):
        return None
    try:
        found = json.loads(payload[len(b"data:") :])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(part: object) -> str:
    if part is None or isinstance(part, str):
        return part or ""
    raise TypeError


def _piece(event: dict[str, Any], endpoint: Endpoint) -> tuple[str, str]:
    try:
        delta = (event.get("choices") or [{}])[0].get("delta") or {}
        # Older engines call it reasoning_content, newer ones reasoning.
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        return _text(delta.get("content")), _text(thought)
    except (AttributeError, LookupError, TypeError) as error:
        why = f"it sent {json.dumps(event)[:_SHOWN]}"
        raise JobError("what answers is no chat endpoint", where=endpoint.url, why=why) from error


def chat(endpoint: Endpoint, request: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> Answer:
    """Ask, and return the answer; emits its text piece by piece. Raises JobError."""
    body = {"model": endpoint.model, **request, "stream": True, "stream_options": {"include_usage": True}}
    started = time.monotonic()
    listener = _Listener(emit, started)
    try:
        with _reply(endpoint, "POST", "/v1/chat/completions", body) as answer:
            if answer.status >= _FIRST_ERROR:
                raise _refusal(endpoint, _read(answer))
            for line in answer:
                listener.hear(event_of(line) or {}, endpoint)
    except (OSError, http.client.HTTPException) as error:
        raise JobError("the endpoint does not answer", where=endpoint.url, why=str(error)) from error
    return listener.answer(time.monotonic() - started)


def _refusal(endpoint: Endpoint, reply: Reply) -> JobError:
    try:
        why = str(json.loads(reply.text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        why = reply.text
    fix = "change the question or its options" if reply.refuses else "kit logs of the job tells more"
    return JobError(f"the endpoint answered with status {reply.status}", where=endpoint.url, why=why, fix=fix)


class _Listener:
    """Puts an answer together from its pieces."""

    def __init__(self, emit: Callable[[dict[str, Any]], None], started: float) -> None:
        self._emit = emit
        self._started = started
        self._first: float | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._usage: dict[str, Any] = {}

    def hear(self, event: dict[str, Any], endpoint: Endpoint) -> None:
        if "error" in event:
            raise JobError("the model failed to answer", where=endpoint.url, why=str(event["error"]))
        usage = event.get("usage")
        self._usage = usage if isinstance(usage, dict) and usage else self._usage
        said, thought = _piece(event, endpoint)
        if not (said or thought):
            return
        if self._first is None:
            self._first = time.monotonic() - self._started
        self._text.append(said)
        self._reasoning.append(thought)
        self._emit({"event": "answer", "text": said, "reasoning": thought})

    def answer(self, seconds: float) -> Answer:
        usage = tuple((key, count) for key, count in self._usage.items() if isinstance(count, int))
        return Answer("".join(self._text), "".join(self._reasoning), usage, seconds, self._first)
