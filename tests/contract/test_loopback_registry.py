"""The loopback registry, asked as engines ask it."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.manifest import Image
from kit.errors import KitError, TransferError
from kit.ship.engine.layer_gate import LayerGate
from kit.ship.engine.layer_supply import Coming, LayerSupply
from kit.ship.engine.loopback_registry import Registry, is_pull_name, serving
from kit.ship.engine.served import Served, Store, served_form
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

    def get(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def blob(self, digest: str) -> bytes:
        status, headers, body = self.get(f"/v2/{self.repository}/blobs/{digest}")
        assert (status, headers["content-length"]) == (200, str(len(body)))
        return body


@contextmanager
def registry(folder: Path, store: Store, coming: Coming | None = None) -> Iterator[Asked]:
    image = ship_bundle_source(folder).manifest.image("train")
    assert image is not None
    served = served_form(image, store)
    path = BlobStore(folder / "bundle").path
    supply = LayerSupply(image, served, path, LayerGate({}, 0), coming or Coming())
    with serving(Registry("train", supply)) as reference:
        assert is_pull_name(reference)
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
        for digest in (*asked.served.stored, *asked.served.layers):
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


def test_it_is_gone_after_a_failure_too(tmp_path: Path) -> None:
    with pytest.raises(KitError), registry(tmp_path, CLASSIC) as asked:
        raise KitError("the pull failed")
    with pytest.raises(ConnectionRefusedError):
        asked.get("/v2/")


def test_a_connection_that_was_kept_open_ends_with_it(tmp_path: Path) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        line = http.client.HTTPConnection(*asked.address, timeout=10)
        line.request("GET", "/v2/")
        assert line.getresponse().read() == b""
    assert line.sock.recv(1) == b""


def test_names_of_two_pulls_are_not_alike(tmp_path: Path) -> None:
    with registry(tmp_path / "a", CLASSIC) as one, registry(tmp_path / "b", CLASSIC) as other:
        words = [asked.repository.partition("/")[0] for asked in (one, other)]
    assert [len(bytes.fromhex(word)) for word in words] == [16, 16]
    assert words[0] != words[1]


def test_an_engine_that_lost_the_connection_goes_on_where_it_was(tmp_path: Path) -> None:
    with registry(tmp_path, CONTAINERD) as asked:
        for digest, blob in asked.served.stored.items():
            path, whole = f"/v2/{asked.repository}/blobs/{digest}", asked.blob(digest)
            status, headers, rest = asked.get(path, headers={"Range": "bytes=7-"})
            assert (status, rest) == (206, whole[7:])
            assert headers["content-range"] == f"bytes 7-{blob.size - 1}/{blob.size}"
            assert asked.get(path, headers={"Range": f"bytes={blob.size}-"})[::2] == (200, whole)
            assert asked.get(path, headers={"Range": "bytes=0-3"})[::2] == (200, whole)


def test_a_plain_layer_always_comes_whole(tmp_path: Path) -> None:
    with registry(tmp_path, CLASSIC) as asked:
        digest = asked.image.layers[0].diff_id
        status, headers, body = asked.get(
            f"/v2/{asked.repository}/blobs/{digest}", headers={"Range": "bytes=7-"}
        )
        assert (status, body, "content-range" in headers) == (200, BASE_LAYER, False)


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD])
def test_what_has_not_come_yet_is_waited_for_and_what_never_comes_is_denied(
    tmp_path: Path, store: Store
) -> None:
    came = threading.Event()

    def wait(digest: str) -> None:
        assert came.wait(20)
        if digest == broken:
            raise TransferError("the line was cut")

    broken = ""
    with registry(tmp_path, store, Coming(wait)) as asked:
        first, broken = (blob.digest for blob in asked.image.layers)
        names = list(asked.served.layers)
        threading.Timer(0.3, came.set).start()
        begun = time.monotonic()
        assert asked.blob(names[0])
        assert time.monotonic() - begun >= 0.29
        for name in (names[1], names[0]):
            status, _, said = asked.get(f"/v2/{asked.repository}/blobs/{name}")
            assert (status, json.loads(said)["errors"][0]["code"]) == (403, "DENIED")
            assert "the line was cut" in said.decode()
        assert first
