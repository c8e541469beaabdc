"""The loopback registry, asked as engines ask it."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.manifest import Image
from kit.ship.loopback_registry import Registry, serving
from kit.ship.served import Served, Store, served_form
from tests.unit.bundle.factories import BASE_LAYER, TOP_LAYER
from tests.unit.ship.factories import ship_bundle_source

CLASSIC = Store(containerd=False, version="20.10.24")
CONTAINERD = Store(containerd=True, version="28.5.2")


@dataclass
class Asked:
    """A registry that is up."""

    image: Image
    served: Served
    address: tuple[str, int]
    repository: str

    def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def blob(self, digest: str) -> bytes:
        status, headers, body = self.get(f"/v2/{self.repository}/blobs/{digest}")
        assert (status, headers["content-length"]) == (200, str(len(body)))
        return body


@contextmanager
def registry(folder: Path, store: Store) -> Iterator[Asked]:
    image = ship_bundle_source(folder).manifest.image("train")
    assert image is not None
    served = served_form(image, store)
    found = Registry("train", served, BlobStore(folder / "bundle").path, lambda _: None)
    with serving(found) as reference:
        place, _, digest = reference.partition("@")
        assert digest == served.digest
        host, _, repository = place.partition("/")
        assert host.startswith("127.0.0.1:")
        yield Asked(image, served, ("127.0.0.1", int(host.split(":")[1])), repository)


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD])
def test_everything_that_the_manifest_names_can_be_had_and_is_what_it_says(
    tmp_path: Path, store: Store
) -> None:
    with registry(tmp_path, store) as asked:
        assert asked.get("/v2/")[0] == 200
        status, headers, body = asked.get(f"/v2/{asked.repository}/manifests/{asked.served.digest}")
        assert (status, sha256(body)) == (200, asked.served.digest)
        assert headers["docker-content-digest"] == asked.served.digest
        manifest = json.loads(body)
        assert headers["content-type"] == manifest["mediaType"]
        for entry in (manifest["config"], *manifest["layers"]):
            data = asked.blob(entry["digest"])
            assert (sha256(data), len(data)) == (entry["digest"], entry["size"])


def test_a_classic_store_gets_the_plain_tars(tmp_path: Path) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        assert [asked.blob(layer.diff_id) for layer in asked.image.layers] == [BASE_LAYER, TOP_LAYER]


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD])
def test_heads_tell_sizes_without_bodies(tmp_path: Path, store: Store) -> None:
    with registry(tmp_path, store) as asked:
        for digest in (*asked.served.stored, *asked.served.unpacked):
            status, headers, body = asked.get(f"/v2/{asked.repository}/blobs/{digest}", "HEAD")
            assert (status, body) == (200, b"")
            assert headers["content-length"] == str(len(asked.blob(digest)))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/train/manifests/{digest}",
        "/v2/0123456789abcdef0123456789abcdef/train/manifests/{digest}",
        "/v2/{repository}/manifests/latest",
        "/v2/{repository}/manifests/sha256:" + "0" * 64,
        "/v2/{repository}/blobs/sha256:" + "0" * 64,
        "/v2/{repository}/blobs/../../../etc/passwd",
        "/v2/_catalog",
    ],
)
def test_whoever_does_not_know_the_name_gets_nothing(tmp_path: Path, path: str) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        filled = path.replace("{digest}", asked.served.digest).replace("{repository}", asked.repository)
        assert asked.get(filled)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_nothing_can_be_written(tmp_path: Path, method: str) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        assert asked.get(f"/v2/{asked.repository}/blobs/uploads/", method)[0] == 501


def test_a_tls_greeting_is_answered_in_plain_words(tmp_path: Path) -> None:
    with registry(tmp_path, CONTAINERD) as asked, socket.create_connection(asked.address, timeout=10) as line:
        line.sendall(b"\x16\x03\x01\x00\xa5hello")
        assert line.recv(100).startswith(b"HTTP/1.0 400")


def test_a_damaged_layer_never_looks_whole(tmp_path: Path) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        layer = asked.image.layers[0]
        place = BlobStore(tmp_path / "bundle").path(layer.digest)
        place.chmod(0o644)
        data = bytearray(place.read_bytes())
        data[len(data) // 2] ^= 0xFF
        place.write_bytes(data)
        connection = http.client.HTTPConnection(*asked.address, timeout=10)
        connection.request("GET", f"/v2/{asked.repository}/blobs/{layer.diff_id}")
        try:
            body = connection.getresponse().read()
        except http.client.IncompleteRead:
            return
        assert sha256(body) != layer.diff_id


def test_the_port_is_closed_afterwards(tmp_path: Path) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        assert asked.get("/v2/")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        asked.get("/v2/")
