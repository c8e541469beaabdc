"""A registry on loopback that speaks HTTP for real: tokens, lists, redirects, and every kind of lie."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

OCI = "application/vnd.oci.image"
TOKEN = "granted"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Seen:
    """A request that came in."""

    method: str
    path: str
    authorization: str | None
    accept: str


@dataclass
class FakeRegistry:
    """What it holds and how it behaves; tests change both."""

    port: int = 0
    scheme: str = "http"
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """(repository, tag or digest) → (media type, bytes)"""
    blobs: dict[str, bytes] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    auth: str = "none"
    """none, token, basic or refresh"""
    realm: str = ""
    user: tuple[str, str] | None = None
    """Whom it lets in; None for everybody who asks for a token."""
    blob_redirect: str = ""
    """Where blobs are had instead, `http://HOST:PORT`."""
    token_redirect: str = ""
    header_digest: str = ""
    """Sent in place of the true one."""
    raw: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    """Path → the very answer."""
    busy: int = 0
    """How many answers are 503 before it behaves."""
    cut: bool = False
    """Promises more bytes than it sends."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def add_image(self, repository: str, tag: str, architecture: str = "amd64", note: str = "") -> str:
        """Hold an image for a platform; return the digest of its manifest."""
        config = json.dumps({"os": "linux", "architecture": architecture, "note": note}).encode()
        self.blobs[digest_of(config)] = config
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {
                "mediaType": f"{OCI}.config.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [],
        }
        return self.add_manifest(repository, tag, f"{OCI}.manifest.v1+json", manifest)

    def add_manifest(self, repository: str, tag: str, kind: str, document: Any) -> str:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.manifests[repository, tag] = self.manifests[repository, digest_of(data)] = (kind, data)
        return digest_of(data)

    def add_list(
        self, repository: str, tag: str, platforms: tuple[str, ...], kind: str = "oci"
    ) -> dict[str, str]:
        """Hold images for platforms (`linux/amd64/v3`) in a list; return platform → digest, and `list`."""
        kinds = {
            "oci": f"{OCI}.index.v1+json",
            "docker": "application/vnd.docker.distribution.manifest.list.v2+json",
        }
        found, entries = {}, []
        for platform in platforms:
            system, architecture, *variant = platform.split("/")
            found[platform] = digest = self.add_image(f"{repository}", f"for-{platform}", architecture)
            entries.append(
                {
                    "mediaType": f"{OCI}.manifest.v1+json",
                    "digest": digest,
                    "size": len(self.manifests[repository, digest][1]),
                    "platform": {"os": system, "architecture": architecture, "variant": "".join(variant)},
                }
            )
        found["list"] = self.add_manifest(
            repository, tag, kinds[kind], {"schemaVersion": 2, "mediaType": kinds[kind], "manifests": entries}
        )
        return found

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(request.path)
        if self.busy:
            self.busy -= 1
            return 503, {"Retry-After": "1"}, b""
        if url.path in self.raw:
            return self.raw[url.path]
        if url.path == "/token":
            return self._token(request, parse_qs(url.query), parse_qs(body.decode()))
        if url.path.startswith("/elsewhere/"):
            return 200, {}, self.blobs[url.path.removeprefix("/elsewhere/")]
        return self._refusal(request) or self._hold(url.path)

    def _hold(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/v2/":
            return 200, {}, b"{}"
        _, _, *words = path.split("/")
        repository, kind, name = "/".join(words[:-2]), words[-2], words[-1]
        if kind == "blobs":
            if self.blob_redirect:
                return 307, {"Location": f"{self.blob_redirect}/elsewhere/{name}"}, b""
            return (200, {}, self.blobs[name]) if name in self.blobs else (404, {}, b"{}")
        if (repository, name) not in self.manifests:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
        media_type, data = self.manifests[repository, name]
        said = self.header_digest or digest_of(data)
        return 200, {"Content-Type": media_type, "Docker-Content-Digest": said}, data

    def _refusal(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes] | None:
        given = request.headers.get("Authorization")
        if (
            self.auth == "none"
            or (self.auth == "basic" and given == self._basic())
            or given == f"Bearer {TOKEN}"
        ):
            return None
        realm = self.realm or f"{self.scheme}://{self.host}/token"
        challenge = f'Bearer realm="{realm}",service="the, registry"'
        if self.auth == "basic":
            challenge = 'Basic realm="here"'
        return 401, {"WWW-Authenticate": challenge}, b'{"errors":[]}'

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(":".join(self.user or ("", "")).encode()).decode()

    def _token(
        self, request: BaseHTTPRequestHandler, query: dict[str, list[str]], form: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        if self.token_redirect:
            return 302, {"Location": self.token_redirect}, b""
        asked = form or query
        if not asked.get("scope", [""])[0].endswith(":pull") or asked.get("service") != ["the, registry"]:
            return 400, {}, b"{}"
        if self.auth == "refresh":
            known = form.get("refresh_token") == ["identity"] and form["grant_type"] == ["refresh_token"]
            return (200, {}, json.dumps({"access_token": TOKEN}).encode()) if known else (401, {}, b"{}")
        if self.user and request.headers.get("Authorization") != self._basic():
            return 401, {}, b'{"details":"incorrect username or password"}'
        return 200, {}, json.dumps({"token": TOKEN}).encode()


@contextmanager
def running_registry(certificate: tuple[Path, Path] | None = None) -> Iterator[FakeRegistry]:
    """Yield a registry that answers on a free port of 127.0.0.1; with TLS when given (certificate, key)."""
    registry = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            registry.seen.append(
                Seen(
                    self.command, self.path, self.headers.get("Authorization"), self.headers.get("Accept", "")
                )
            )
            status, headers, data = registry.answer(self, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(data) + (9 if registry.cut else 0)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = _handle  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        registry.scheme = "https"
    registry.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
