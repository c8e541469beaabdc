"""A read-only registry on the host's loopback, for as long as the engine pulls from it.

Just enough of the OCI distribution protocol for a pull by digest. Whoever is on the host could reach
the port, so the repository's name holds a random word that only this process and the engine know.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from kit.bundle.byte_stream import byte_stream
from kit.bundle.digest import read_file
from kit.errors import KitError
from kit.ship.identity import OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kit.bundle.manifest import Layer
    from kit.ship.served import Served

_TLS_HELLO = b"\x16"
_CHUNK = 1 << 20
_OCTETS = "application/octet-stream"
_PATH = re.compile(r"^/v2/([a-z0-9]+/[a-z0-9._-]+)/(manifests|blobs)/(sha256:[0-9a-f]{64})$")


class Registry:
    """What is served, and where it lies."""

    def __init__(
        self, name: str, served: Served, path: Callable[[str], Path], admit: Callable[[str], None]
    ) -> None:
        """`admit` hears of a digest before its bytes go out; it may wait, or raise KitError to refuse."""
        self.repository = f"{secrets.token_hex(16)}/{name}"
        self.served = served
        self.path = path
        self.admit = admit


def _unpacked(path: Path, layer: Layer) -> Iterator[bytes]:
    """Yield a layer's tar. The engine compares its diffID, so it is not hashed here as well."""
    import zstandard

    reader = zstandard.ZstdDecompressor().stream_reader(byte_stream(read_file(path)), read_across_frames=True)
    left = layer.plain_size
    while left and (piece := reader.read(min(_CHUNK, left))):
        left -= len(piece)
        yield piece


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

    def _head(self, status: int, kind: str = _OCTETS, size: int = 0, digest: str = "") -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
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
        elif found[3] in served.unpacked:
            self._unpacked(served.unpacked[found[3]], body=body)
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
            return
        if not self._admitted(digest):
            return
        with self.registry.path(digest).open("rb") as file:
            self._head(200, kind, size, digest)
            self.wfile.flush()
            self.connection.sendfile(file, 0, size or None)

    def _admitted(self, digest: str) -> bool:
        try:
            self.registry.admit(digest)
        except KitError as error:
            # In the protocol's own form: engines do not try again then, and say why.
            denied = {"code": "DENIED", "message": f"{error.what} {error.why}".strip()}
            said = json.dumps({"errors": [denied]}).encode()
            self._head(403, "application/json", len(said))
            self.wfile.write(said)
            return False
        return True

    def _unpacked(self, layer: Layer, *, body: bool) -> None:
        if not body:
            self._head(200, _OCTETS, layer.plain_size, layer.diff_id)
            return
        if not self._admitted(layer.diff_id):
            return
        self._head(200, _OCTETS, layer.plain_size, layer.diff_id)
        # Whatever goes wrong here leaves the body short, and the engine refuses it.
        self.close_connection = True
        for piece in _unpacked(self.registry.path(layer.digest), layer):
            self.wfile.write(piece)
        self.close_connection = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that hang up."""


@contextmanager
def serving(registry: Registry) -> Iterator[str]:
    """Serve until the block ends; give the reference that an engine pulls."""
    handler = type("_BoundHandler", (_Handler,), {"registry": registry})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}/{registry.repository}@{registry.served.digest}"
    finally:
        with suppress(OSError):
            server.shutdown()
        server.server_close()
