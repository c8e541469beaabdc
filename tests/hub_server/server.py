"""The hub's servers: one for the API, and one on another address that large files come from."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub_server.faults import Cut, Fault, Longer, NoRange, Short, Slow, Status, Wrong, Zipped
from tests.hub_server.repository import COMMIT, LARGE, NAME, TOKEN, Repository, git_sha1, sha256

SIGNATURE = "X-Amz-Signature=thesecretsignature"


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    host: str
    path: str
    start: int
    authorization: str
    cookie: str


@dataclass
class Hub:
    """A running hub and what it was asked."""

    repository: Repository
    endpoint: str = ""
    store: str = ""
    """Where large files are redirected to."""
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    """By a file's path, or "list"; each is used up by one request."""
    seen: list[Seen] = field(default_factory=list)
    rate: float = 0
    """Bytes a second on each connection; 0: as fast as it goes."""
    together: int = 0
    most_together: int = 0
    """Most files that were on their way at one time."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, name: str) -> list[Seen]:
        """Return the requests for a file's bytes; one that was redirected is not counted."""
        found = [seen for seen in self.seen if name in unquote(seen.path)]
        return [seen for seen in found if "/store/" in seen.path or not name.endswith(LARGE)]


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        wanted = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        self._seen(int(wanted or 0))
        parts = unquote(url.path).strip("/").split("/")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if parts[0] == "store":
            self._file(parts[1], "/".join(parts[2:]), int(wanted or 0))
        elif parts[:3] == ["api", "v1", "models"]:
            self._modelscope("/".join(parts[3:]), query, int(wanted or 0))
        elif parts[:2] == ["api", "models"]:
            self._huggingface_api("/".join(parts[2:4]), parts[4:], query)
        elif "/".join(parts[:2]) == NAME and parts[2:3] == ["resolve"]:
            self._resolve(parts[3], "/".join(parts[4:]), int(wanted or 0))
        else:
            self._missing("RepoNotFound")

    def _seen(self, start: int) -> None:
        headers = self.headers
        host = headers.get("Host", "")
        seen = Seen(host, self.path, start, headers.get("Authorization", ""), headers.get("Cookie", ""))
        self.hub.seen.append(seen)

    def _may(self, what: str) -> bool:
        closed = self.hub.repository.closed
        token = TOKEN in self.headers.get("Authorization", "")
        return token or not (closed == "private" or (closed == "gated" and what == "files"))

    # Hugging Face

    def _huggingface_api(self, repo: str, rest: list[str], query: dict[str, str]) -> None:
        known = self.hub.repository
        if repo != NAME or not self._may("list"):
            self._missing("RepoNotFound")
            return
        if self._failed("list"):
            return
        commit = known.commit("/".join(rest[1:]) if rest else "main")
        if commit is None:
            self._missing("RevisionNotFound")
        elif rest[:1] == ["tree"]:
            page = int(query.get("cursor", 0))
            entries, more = known.tree(commit, page)
            next_page = f"{self.hub.endpoint}{urlsplit(self.path).path}?recursive=True&cursor={page + 1}"
            self._json(entries, {"Link": f'<{next_page}>; rel="next"'} if more else {})
        else:
            self._json({"id": NAME, "sha": commit, "siblings": []}, {})

    def _resolve(self, revision: str, path: str, start: int) -> None:
        commit = self.hub.repository.commit(revision)
        if not self._may("files"):
            self._send(401, {"X-Error-Code": "GatedRepo"}, b"Access is restricted.")
        elif commit is None or path not in self.hub.repository.commits[commit]:
            self._missing("EntryNotFound")
        elif path.endswith(LARGE):
            data = self.hub.repository.commits[commit][path]
            linked = {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
            self._redirect(commit, path, {"X-Repo-Commit": commit, **linked})
        else:
            self._file(commit, path, start)

    def _redirect(self, commit: str, path: str, headers: dict[str, str]) -> None:
        target = f"{self.hub.store}/store/{commit}/{quote(path)}?{SIGNATURE}"
        self._send(302, {"Location": target, **headers}, b"")

    # ModelScope

    def _modelscope(self, rest: str, query: dict[str, str], start: int) -> None:
        known = self.hub.repository
        commit = known.commit(query.get("Revision", ""))
        if not rest.startswith(f"{NAME}/") or commit is None:
            self._send(404, {}, b'{"Code":10010205001,"Message":"not found"}')
        elif rest == f"{NAME}/repo/files":
            if not self._may("list"):
                self._send(403, {}, b'{"Code":10010101004,"Message":"no permission"}')
            elif not self._failed("list"):
                files = {"Files": known.modelscope_files(commit)}
                self._json({"Code": 200, "Success": True, "Data": files}, {})
        elif not self._may("files"):
            self._send(403, {}, b'{"Code":10010101004,"Message":"no permission"}')
        elif query.get("FilePath", "").endswith(LARGE):
            self._redirect(commit, query["FilePath"], {})
        else:
            self._file(commit, query.get("FilePath", ""), start)

    # Bytes

    def _failed(self, name: str) -> bool:
        faults = self.hub.faults[name]
        if faults and isinstance(faults[0], Status):
            fault = faults.pop(0)
            assert isinstance(fault, Status)
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._send(fault.status, headers, b'{"error": "as told"}')
            return True
        return False

    def _file(self, commit: str, path: str, start: int) -> None:
        data = self.hub.repository.commits[commit].get(path)
        if data is None:
            self._missing("EntryNotFound")
        elif not self._failed(path):
            faults = self.hub.faults[path]
            with self._counted():
                self._body(path, data, start, faults.pop(0) if faults else None)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self.hub.lock:
            self.hub.together += 1
            self.hub.most_together = max(self.hub.most_together, self.hub.together)
        yield
        with self.hub.lock:
            self.hub.together -= 1

    def _body(self, path: str, data: bytes, start: int, fault: Fault | None) -> None:
        headers = {"ETag": f'"{sha256(data) if path.endswith(LARGE) else git_sha1(data)}"'}
        if isinstance(fault, NoRange):
            start = 0
        if isinstance(fault, Short):
            data = data[: fault.length]
        if isinstance(fault, Wrong):
            data = bytes(byte ^ 1 for byte in data)
        if isinstance(fault, Zipped):
            data, headers["Content-Encoding"] = gzip.compress(data), "gzip"
        if start >= len(data) > 0:
            self._send(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._head(206 if start else 200, headers, None if isinstance(fault, Longer) else len(data) - start)
        if self.command == "GET":
            self._pour(data[start:], fault)

    def _pour(self, body: bytes, fault: Fault | None) -> None:
        try:
            if isinstance(fault, Cut):
                self._write(body[: fault.after])
                self._die(reset=fault.reset)
            elif isinstance(fault, Slow):
                self._write(body[: fault.after])
                for byte in () if fault.silent else body[fault.after :]:
                    self._write(bytes([byte]))
                    time.sleep(0.05)
                time.sleep(3)
            elif isinstance(fault, Longer):
                self._write(body + b"and more")
            else:
                self._write(body)
        except OSError:
            self.close_connection = True

    def _write(self, body: bytes) -> None:
        step = 1 << 16
        for at in range(0, len(body), step):
            self.wfile.write(body[at : at + step])
            if self.hub.rate:
                time.sleep(step / self.hub.rate)
        self.wfile.flush()

    def _die(self, *, reset: bool) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.rfile.close()
        self.connection.close()
        self.close_connection = True

    def _json(self, document: Any, headers: dict[str, str]) -> None:
        self._send(200, headers, json.dumps(document).encode())

    def _missing(self, code: str) -> None:
        self._send(404, {"X-Error-Code": code}, b'{"Code":404,"Message":"not found"}')

    def _head(self, status: int, headers: dict[str, str], length: int | None) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._head(status, headers, len(body))
        if self.command == "GET":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what the tests are about."""


@contextmanager
def running_hub(files: dict[str, bytes], **known: Any) -> Iterator[Hub]:
    """Yield a hub that holds one repository; keywords are the Repository's."""
    hub = Hub(Repository({COMMIT: files}, **known))
    answers = type("Answers", (_Answers,), {"hub": hub})
    servers = [_Server((host, 0), answers) for host in ("127.0.0.1", "127.0.0.2")]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    hub.endpoint, hub.store = (
        f"http://{server.server_address[0]!s}:{server.server_port}" for server in servers
    )
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
