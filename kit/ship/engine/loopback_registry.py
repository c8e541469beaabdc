"""A read-only registry on the host's loopback, for as long as the engine pulls from it.

Just enough of the OCI distribution protocol for a pull by digest. Whoever is on the host could reach
the port, so the repository's name holds a random word that only this process and the engine know.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.ship.engine.identity import OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.ship.engine.layer_supply import LayerSupply

_TLS_HELLO = b"\x16"
_STEP = 1 << 20
"""Bytes of a stored layer between two looks at whether the engine has room for more."""
_LAST = 1 << 16
"""Bytes at the end of a stored layer that wait until it may be unpacked."""
_OCTETS = "application/octet-stream"
_PATH = re.compile(r"^/v2/([a-z0-9]+/[a-z0-9._-]+)/(manifests|blobs)/(sha256:[0-9a-f]{64})$")
_FROM = re.compile(r"^bytes=([0-9]{1,18})-$")
_WORD = 16
"""Random bytes in a repository's name."""
_OWN_NAME = re.compile(rf"^127\.0\.0\.1:[0-9]+/[0-9a-f]{{{2 * _WORD}}}/[^@]+@sha256:[0-9a-f]{{64}}$")


def is_pull_name(name: str) -> bool:
    """Tell whether an image's name is one that `serving` gave, maybe long ago."""
    return _OWN_NAME.match(name) is not None


class Registry:
    """What is served, under which name."""

    def __init__(self, name: str, supply: LayerSupply) -> None:
        """`supply` decides when bytes go out, and whether."""
        self.repository = f"{secrets.token_hex(_WORD)}/{name}"
        self.served = supply.served
        self.supply = supply


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "kit"
    sys_version = ""
    timeout = 900
    registry: Registry

    def handle_one_request(self) -> None:
        """Answer a request, or a TLS greeting in words that make engines try plain HTTP."""
        if self.rfile.peek(1)[:1] == _TLS_HELLO:  # type: ignore[attr-defined]
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            self.close_connection = True
            return
        super().handle_one_request()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the agent's own lines tell what happens."""

    def _head(
        self, status: int, kind: str = _OCTETS, size: int = 0, digest: str = "", span: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without one."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.path == "/v2/":
            self._head(200, "application/json")
            return
        found = _PATH.match(self.path)
        if not found or not secrets.compare_digest(found[1], self.registry.repository):
            self._head(404)
            return
        served = self.registry.served
        if found[2] == "manifests":
            self._manifest(found[3], body=body)
        elif found[3] in served.stored:
            self._stored(found[3], _OCTETS, body=body)
        elif served.is_unpacked(found[3]):
            self._unpacked(found[3], body=body)
        else:
            self._head(404)

    def _manifest(self, digest: str, *, body: bool) -> None:
        served = self.registry.served
        if digest != served.digest:
            self._head(404)
        elif served.manifest is None:
            self._stored(digest, OCI_MANIFEST, body=body)
        else:
            self._head(200, OCI_MANIFEST, len(served.manifest), digest)
            if body:
                self.wfile.write(served.manifest)

    def _stored(self, digest: str, kind: str, *, body: bool) -> None:
        size = self.registry.served.stored[digest].size
        if not body:
            self._head(200, kind, size, digest)
        elif self._admitted(digest):
            start = self._start(size)
            span = f"bytes {start}-{size - 1}/{size}" if start else ""
            self._head(206 if start else 200, kind, size - start, digest, span)
            self._send_stored(digest, start, size)

    def _start(self, size: int) -> int:
        """Return where an engine goes on that lost the connection; 0 where it begins."""
        asked = _FROM.match(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        return start if start < size else 0

    def _send_stored(self, digest: str, start: int, size: int) -> None:
        supply = self.registry.supply
        # Whatever goes wrong here leaves the body short, and the engine refuses it.
        self.close_connection = True
        with supply.path(digest).open("rb") as file:
            held = max(start, size - _LAST)
            for offset in range(start, held, _STEP):
                stop = min(offset + _STEP, held)
                supply.may_go(digest, stop)
                self.connection.sendfile(file, offset, stop - offset)
            supply.may_go(digest, size)
            supply.release(digest)
            if size > held:
                self.connection.sendfile(file, held, size - held)
        supply.passed(digest)
        self.close_connection = False

    def _admitted(self, digest: str) -> bool:
        try:
            self.registry.supply.admit(digest)
        except KitError as error:
            # In the protocol's own form: engines do not try again then, and say why.
            denied = {"code": "DENIED", "message": f"{error.what} {error.why}".strip()}
            said = json.dumps({"errors": [denied]}).encode()
            self._head(403, "application/json", len(said))
            self.wfile.write(said)
            return False
        return True

    def _unpacked(self, digest: str, *, body: bool) -> None:
        layer, supply = self.registry.served.layers[digest], self.registry.supply
        if not body:
            self._head(200, _OCTETS, layer.plain_size, digest)
            return
        if not self._admitted(digest):
            return
        # Always from the start: an engine that went on elsewhere begins anew when it is told so.
        self._head(200, _OCTETS, layer.plain_size, digest)
        self.close_connection = True
        for piece in supply.plain(layer):
            self.wfile.write(piece)
        supply.passed(digest)
        self.close_connection = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler: type[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._lines: set[socket.socket] = set()
        self._guard = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._lines.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection, also one that is kept open for later."""
        with self._guard:
            for line in self._lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that hang up."""


@contextmanager
def serving(registry: Registry) -> Iterator[str]:
    """Serve until the block ends, however it ends; give the reference that an engine pulls."""
    handler = type("_BoundHandler", (_Handler,), {"registry": registry})
    server = _Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}/{registry.repository}@{registry.served.digest}"
    finally:
        with suppress(OSError):
            server.shutdown()
        server.server_close()
        server.hang_up()
