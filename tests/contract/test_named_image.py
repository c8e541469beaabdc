"""An image of the user's choice, from a registry that wants a token into a real engine, by digest."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile

import pytest

from kit.errors import TransferError
from kit.images.build_image import build_image
from kit.images.docker_engine import DockerCommand
from kit.images.lock_image import ImageResolver
from kit.images.registry_client import RegistryClient
from kit.progress import NoProgress
from kit.project.model import Mirrors, NamedImage
from tests.contract.fake_registry import OCI, FakeRegistry, digest_of, running_registry

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def _hold_image(registry: FakeRegistry, text: bytes) -> str:
    """Hold an image of one file; return the digest of its config, which is its ID."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        info = tarfile.TarInfo("text")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    layer = sink.getvalue()
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
    }
    written = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {
            "mediaType": f"{OCI}.config.v1+json",
            "digest": digest_of(written),
            "size": len(written),
        },
        "layers": [
            {"mediaType": f"{OCI}.layer.v1.tar", "digest": digest_of(layer), "size": len(layer)},
        ],
    }
    registry.blobs |= {digest_of(layer): layer, digest_of(written): written}
    registry.add_manifest("team/tool", "1.2", f"{OCI}.manifest.v1+json", manifest)
    return digest_of(written)


def test_what_was_locked_is_pulled_though_its_tag_has_moved(
    docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    with running_registry() as registry:
        registry.auth = "token"
        mirrors = Mirrors(registry={"registry.example": registry.host})
        tool = NamedImage(name="my-tool", image="registry.example/team/tool:1.2")
        image_id = _hold_image(registry, os.urandom(8))
        client = RegistryClient(login=lambda _: None)
        lock = ImageResolver("cpu", mirrors, offline=False, registry=client).lock(tool)
        _hold_image(registry, os.urandom(8))
        built = build_image("my-tool", "cpu", lock, mirrors, DockerCommand(), NoProgress())
        assert (built.name, built.image_id) == ("my-tool", image_id)
        subprocess.run(("docker", "rmi", "--force", image_id), check=True, capture_output=True)
        registry.blobs = {digest: data + b"x" for digest, data in registry.blobs.items()}
        with pytest.raises(TransferError, match="cannot pull"):
            build_image("my-tool", "cpu", lock, mirrors, DockerCommand(), NoProgress())
