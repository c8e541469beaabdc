"""Models of a bundle as the CNCF ModelPack project's schema and a client of others see them.

Both are imported where they are used: they take seconds, and every worker collects every file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.source import BundleSource
from tests.unit.bundle.factories import local_tree, packed_bundle

# jsonschema takes seconds to be imported (a grammar of web addresses): one worker does it for all.
pytestmark = pytest.mark.xdist_group("schemas")

FILES = {
    "config.json": b'{"hidden_size": 64}',
    "README.md": b"---\nlicense: mit\n---\n",
    "modeling_tiny.py": b"import torch\n",
    "model-00001-of-00002.safetensors": bytes(range(256)) * 64,
    "deep/er/词.txt": b"one\n",
}


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    model = local_tree(tmp_path / "m", FILES, source="modelscope:Qwen/Qwen3-32B@v1.0.0")
    data = local_tree(tmp_path / "d", {"notes.json": b"[]"}, name="notes", kind="dataset")
    return packed_bundle(tmp_path, trees=(model, data))


def blob(source: BundleSource, digest: str) -> bytes:
    return b"".join(source.read(digest))


class Registry:
    """A read-only registry on loopback, made of a bundle's blobs. `spoil` changes what it serves."""

    def __init__(self, source: BundleSource) -> None:
        from modelpack_client.constants import OCI_MANIFEST_MEDIA_TYPE

        self.spoil: dict[str, bytes] = {}
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                what = self.path.rsplit("/", 1)[-1]
                tree = next((tree for tree in source.manifest.trees if tree.name == what), None)
                digest = tree.manifest.digest if tree else what
                if self.path.rstrip("/") == "/v2":
                    self._answer(b"{}", "application/json")
                else:
                    kind = (
                        OCI_MANIFEST_MEDIA_TYPE if "/manifests/" in self.path else "application/octet-stream"
                    )
                    self._answer(registry.spoil.get(digest) or blob(source, digest), kind)

            do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

            def _answer(self, data: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def registry(source: BundleSource) -> Iterator[Registry]:
    made = Registry(source)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def pull(registry: Registry, name: str, out: Path) -> Any:
    from modelpack_client import ModelPackClient

    return ModelPackClient(insecure=True).pull(f"{registry.address}/kit/model:{name}", out)


def test_configs_hold_against_the_official_schema(source: BundleSource) -> None:
    from jsonschema import Draft202012Validator, ValidationError
    from modelpack_client.schema import CONFIG_SCHEMA

    validator = Draft202012Validator(CONFIG_SCHEMA)
    for tree in source.manifest.trees:
        config = json.loads(blob(source, tree.config.digest))
        validator.validate(config)
        assert config["modelfs"]["diffIds"] == [file.digest for file in tree.files]
        with pytest.raises(ValidationError):
            validator.validate({**config, "modelfs": {"type": "tar", "diffIds": []}})


def test_every_file_has_a_media_type_of_the_specification(source: BundleSource) -> None:
    from modelpack_client.constants import MODEL_LAYER_MEDIA_TYPES

    for tree in source.manifest.trees:
        manifest = json.loads(blob(source, tree.manifest.digest))
        assert {layer["mediaType"] for layer in manifest["layers"]} <= MODEL_LAYER_MEDIA_TYPES


@pytest.mark.parametrize(("name", "files"), [("tiny", FILES), ("notes", {"notes.json": b"[]"})])
def test_a_client_of_others_pulls_every_file(
    registry: Registry, tmp_path: Path, name: str, files: dict[str, bytes]
) -> None:
    out = tmp_path / "pulled"
    found = pull(registry, name, out)
    assert {str(path.relative_to(out)): path.read_bytes() for path in found.files} == files
    assert found.config["descriptor"]["name"] == name


def test_that_client_would_refuse_another_artifact(
    registry: Registry, source: BundleSource, tmp_path: Path
) -> None:
    from modelpack_client.errors import InvalidModelPackError

    tree = source.manifest.trees[0]
    manifest = json.loads(blob(source, tree.manifest.digest))
    registry.spoil[tree.manifest.digest] = json.dumps({**manifest, "artifactType": "x/y"}).encode()
    with pytest.raises(InvalidModelPackError):
        pull(registry, "tiny", tmp_path / "pulled")
