"""The hubs' own client libraries against a stand-in server on loopback that speaks their API."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kit.bundle.digest import blob_of
from kit.errors import ConfigError, UnreachableError
from kit.hub.fetch_tree import fetch_from_hub
from kit.hub.hub_cache import make_hub
from kit.hub.pin_tree import pin_from_hub
from kit.progress import NoProgress
from kit.project.model import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.hub.port import HubClient

FILES = {"config.json": b'{"hidden_size": 64}', "sub/model.safetensors": bytes(range(256)) * 8000}
REPO = "Owner/Tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROOT = f"/api/models/{REPO}"


class _Answers(BaseHTTPRequestHandler):
    """Both hubs' API, as far as kit's clients use it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == f"/api/v1/models/{REPO}/repo/files":
            self._json({"Code": 200, "Success": True, "Data": {"Files": _modelscope_files()}}, send=send)
        elif url.path == f"/api/v1/models/{REPO}/repo" and query.get("FilePath") in FILES:
            self._bytes(FILES[query["FilePath"]], send=send)
        elif url.path in (f"{ROOT}/revision/main", f"{ROOT}/revision/{COMMIT}"):
            self._json({"id": REPO, "sha": COMMIT, "siblings": []}, send=send)
        elif url.path == f"{ROOT}/tree/{COMMIT}":
            self._json(_huggingface_files(), send=send)
        elif url.path.startswith(f"/{REPO}/resolve/{COMMIT}/"):
            name = url.path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
            self._bytes(FILES[name], send=send, etag=hashlib.sha1(FILES[name]).hexdigest())
        else:
            self._bytes(b'{"Code":404,"Message":"not found"}', send=send, status=404)

    def _json(self, document: Any, *, send: bool) -> None:
        self._bytes(json.dumps(document).encode(), send=send)

    def _bytes(self, data: bytes, *, send: bool, status: int = 200, etag: str = "") -> None:
        start, end = 0, len(data)
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes=") and status == 200:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end - 1) + 1, end)
            status = 206
        self.send_response(status)
        self.send_header("Content-Length", str(end - start))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        if send:
            self.wfile.write(data[start:end])


def _modelscope_files() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"Path": "sub", "Name": "sub", "Type": "tree", "Size": 0}]
    for path, data in FILES.items():
        sha256 = hashlib.sha256(data).hexdigest()
        found.append({"Path": path, "Type": "blob", "Size": len(data), "Sha256": sha256})
    return found


def _huggingface_files() -> list[dict[str, Any]]:
    config, weights = FILES.values()
    sha256 = hashlib.sha256(weights).hexdigest()
    large = {"oid": sha256, "size": len(weights), "pointerSize": 134}
    return [
        {"type": "directory", "path": "sub", "oid": "1" * 40, "size": 0},
        {"type": "file", "path": "config.json", "oid": "2" * 40, "size": len(config)},
        {
            "type": "file",
            "path": "sub/model.safetensors",
            "oid": "3" * 40,
            "size": len(weights),
            "lfs": large,
        },
    ]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["huggingface", "modelscope"])
def origin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    pytest.importorskip({"huggingface": "huggingface_hub", "modelscope": "modelscope_hub"}[request.param])
    monkeypatch.setenv("HOME", str(tmp_path))
    name: str = request.param
    return name


@pytest.fixture
def hub(origin: str, endpoint: str) -> HubClient:
    return make_hub(origin, endpoint)


def test_a_repository_is_pinned_and_fetched(origin: str, hub: HubClient, tmp_path: Path) -> None:
    spec = ModelSpec(source=origin, repo=REPO, revision="main")  # type: ignore[arg-type]
    pin = pin_from_hub("model", "tiny", spec, tmp_path / "a", hub)
    assert {file.path: (file.size, file.digest) for file in pin.files} == {
        path: (len(data), blob_of(data).digest) for path, data in FILES.items()
    }
    assert pin.revision == (COMMIT if origin == "huggingface" else "main")
    tree = fetch_from_hub(pin, tmp_path / "b", hub, NoProgress())
    assert {file.path: file.place.read_bytes() for file in tree.files} == FILES


def test_a_repository_that_is_not_there_is_a_mistake_in_kit_yaml(hub: HubClient) -> None:
    with pytest.raises(ConfigError, match="Owner/Missing"):
        hub.list_files("Owner/Missing", "main")


def test_a_hub_that_does_not_answer_is_unreachable(origin: str) -> None:
    with pytest.raises(UnreachableError, match=REPO):
        make_hub(origin, "http://127.0.0.1:9").list_files(REPO, "main")
