"""The engine's HTTP interface on its Unix socket, with nothing but the standard library.

kit on a host starts anew for each question; docker's own SDK would take longer to import than the
question takes to answer.
"""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from kit.errors import EngineError
from kit.host.unix_http import UnixConnection
from kit.run.container import parse_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.run.container import ContainerState

SOCKET = "/var/run/docker.sock"
SECONDS = 60.0
"""Longest silence of the engine."""
FRAME_HEAD = 8
"""Bytes before each piece of a log: stream number, three zeros, length (Engine API, attach)."""
_STREAMS = (b"\0", b"\1", b"\2")
_CHUNK = 1 << 16


@contextmanager
def _spoken_to(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EngineError(
            "the engine does not answer", where=path, why=str(error), fix="kit check"
        ) from error


class EngineSocket:
    """The engine behind a Unix socket."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    @contextmanager
    def _get(self, target: str) -> Iterator[http.client.HTTPResponse]:
        connection = UnixConnection(self._path, SECONDS)
        try:
            connection.request("GET", target)
            yield connection.getresponse()
        finally:
            connection.close()

    def state(self, container: str) -> ContainerState | None:
        """Return how the container of that name stands, or None when there is none."""
        with _spoken_to(self._path), self._get(f"/containers/{quote(container, safe='')}/json") as answer:
            body = answer.read()
            if answer.status == http.HTTPStatus.NOT_FOUND:
                return None
            if answer.status != http.HTTPStatus.OK:
                raise EngineError("the engine does not show it", where=container, why=_text(body))
            return parse_state(json.loads(body)["State"])

    def logs(self, container: str, tail: int) -> Iterator[bytes]:
        """Yield the last `tail` lines that the container wrote, in chunks."""
        query = urlencode({"stdout": 1, "stderr": 1, "tail": tail})
        target = f"/containers/{quote(container, safe='')}/logs?{query}"
        with _spoken_to(self._path), self._get(target) as answer:
            if answer.status != http.HTTPStatus.OK:
                raise EngineError("the engine has no log of it", where=container, why=_text(answer.read()))
            yield from unframed(answer)


def unframed(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield what a container wrote, without the heads that tell its two streams apart.

    A container at a terminal has one stream, and no heads.
    """
    head = answer.read(FRAME_HEAD)
    if head[:1] not in _STREAMS or head[1:4].strip(b"\0"):
        while head:
            yield head
            head = answer.read(_CHUNK)
    while len(head) == FRAME_HEAD:
        left = int.from_bytes(head[4:], "big")
        while left and (piece := answer.read(min(left, _CHUNK))):
            left -= len(piece)
            yield piece
        head = answer.read(FRAME_HEAD)


def _text(body: bytes) -> str:
    return body[:300].decode("utf-8", "replace").strip()
