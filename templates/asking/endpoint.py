"""One question to an OpenAI-compatible endpoint, over a connection that is kept.

Runs inside an image, with Python's own library alone.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

SECONDS = 900.0
"""Longest silence of an endpoint that has taken a question."""
OK = 200
BUSY = (408, 425, 429, 502, 503, 504)
"""Statuses that say: later."""
WRONG = (401, 403, 404, 405)
"""Statuses that hold for every question."""
_FIRST_SERVER_ERROR = 500


class LaterError(Exception):
    """The endpoint does not answer now."""


class BrokenError(Exception):
    """The endpoint failed over this question; another try may help."""


class RefusedError(Exception):
    """The endpoint will never answer this question."""


class HopelessError(Exception):
    """The endpoint will answer no question at all."""


@dataclass(frozen=True)
class Endpoint:
    """Where one model is asked."""

    name: str
    """The column of its answers."""
    url: str
    model: str
    identity: str = ""
    """Differs when another model serves under the same name."""
    api_key: str = field(default="", repr=False)
    body: dict[str, Any] = field(default_factory=dict)
    """What every request to it says beside the question."""
    certificate: str = field(default="", repr=False)
    """The one that it must show over https, PEM."""


class Line:
    """A connection to an endpoint, for one thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: http.client.HTTPConnection | None = None

    def models(self) -> list[str]:
        """Return the names that the endpoint serves. Raises LaterError, HopelessError."""
        status, text = self._exchange("GET", "/v1/models", None)
        self._judge(status, text)
        return [str(model["id"]) for model in json.loads(text)["data"]]

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the endpoint's answer to a chat completion. Raises one of the errors above."""
        request = {**body, **self._endpoint.body, "model": self._endpoint.model}
        status, text = self._exchange("POST", "/v1/chat/completions", json.dumps(request).encode())
        self._judge(status, text)
        try:
            found = json.loads(text)
            choice = found["choices"][0]
            message = choice["message"]
        except (ValueError, LookupError, TypeError) as error:
            raise BrokenError(f"an answer that is none: {text[:200]!r}") from error
        usage = found.get("usage") or {}
        answer = {
            "answer": message.get("content") or "",
            "finish_reason": choice.get("finish_reason"),
            "tokens": [usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0],
        }
        # Older engines call it reasoning_content, newer ones reasoning.
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        return {**answer, "reasoning": reasoning} if reasoning else answer

    def _judge(self, status: int, text: bytes) -> None:
        if status == OK:
            return
        said = f"status {status}: {_message(text)}"
        if status in BUSY:
            raise LaterError(said)
        if status in WRONG:
            raise HopelessError(said)
        raise BrokenError(said) if status >= _FIRST_SERVER_ERROR else RefusedError(said)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if self._endpoint.api_key:
            headers["Authorization"] = f"Bearer {self._endpoint.api_key}"
        # A server may have closed a connection that was kept; that tells nothing about the question.
        fresh = self._connection is None
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if fresh:
                raise LaterError(str(error) or type(error).__name__) from error
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise LaterError(str(error) or type(error).__name__) from error

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = _connect(self._endpoint)
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _connect(endpoint: Endpoint) -> http.client.HTTPConnection:
    place = urlsplit(endpoint.url)
    host, port = place.hostname or "", place.port
    if place.scheme == "https":
        # That very certificate counts, whatever name it bears.
        context = ssl.create_default_context(cadata=endpoint.certificate)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=SECONDS)


def _message(text: bytes) -> str:
    try:
        found = json.loads(text)
        return str((found.get("error") or found).get("message"))[:500]
    except (ValueError, AttributeError):
        return text[:500].decode("utf-8", "replace").strip()
