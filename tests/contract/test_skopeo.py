"""A bundle as Debian's skopeo sees it: inspected, and its images copied into a real Docker engine.

skopeo decompresses no zstd layer on its way into an engine (1.9 and 1.18 alike): a first copy, into a
folder of its own form, does.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.source import BundleSource, open_bundle
from kit.progress import NoProgress
from tests.unit.bundle.factories import as_tarball, local_tree, pack_request
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> BundleSource:
    """A bundle with an image of layers in many frames, and a model."""
    folder = tmp_path_factory.mktemp("made")
    mark = uuid.uuid4().bytes
    base = tar_of({f"data/{i}": bytes([i]) * 300_000 for i in range(40)} | {"etc/mark": mark})
    top = tar_of({"app/main.py": b"print('hello')\n"})
    engine = FakeEngine()
    config: dict[str, Any] = {
        "architecture": "amd64",
        "config": {"Cmd": ["/app/main.py"], "Labels": {"kit.stack": "cpu"}},
    }
    images = (("train", engine.add(base, top, **config)),)
    request = pack_request(engine, folder, images=images, trees=(local_tree(folder / "m"),))
    pack_bundle(request, engine, FolderTarget(folder / "bundle"), NoProgress())
    return open_bundle(folder / "bundle")


@pytest.fixture(scope="module", params=["folder", "tarball"])
def place(
    request: pytest.FixtureRequest, source: BundleSource, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The bundle in words of skopeo."""
    if request.param == "folder":
        return f"oci:{source.where}"
    return f"oci-archive:{as_tarball(source, tmp_path_factory.mktemp('tar') / 'demo.tar')}"


def skopeo(*argv: str) -> str:
    done = subprocess.run(("skopeo", *argv), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("docker_host")
def test_skopeo_inspects_an_image(source: BundleSource, place: str) -> None:
    image = source.manifest.images[0]
    reference = f"{place}:{image.identity_tag}"
    found: dict[str, Any] = json.loads(skopeo("inspect", reference))
    assert found["Digest"] == image.manifest.digest
    assert found["Layers"] == [layer.digest for layer in image.layers]
    assert found["Labels"] == {"kit.stack": "cpu"}
    config = skopeo("inspect", "--config", "--raw", reference)
    assert config.encode() == b"".join(source.read(image.config.digest))


@pytest.mark.usefixtures("docker_host")
def test_skopeo_reads_every_blob_of_an_image(source: BundleSource, place: str, tmp_path: Path) -> None:
    image = source.manifest.images[0]
    skopeo("copy", "--insecure-policy", f"{place}:{image.identity_tag}", f"oci:{tmp_path / 'copy'}:copy")
    copied = {path.name for path in (tmp_path / "copy" / "blobs" / "sha256").iterdir()}
    assert {blob.digest[7:] for blob in image.oci_blobs} == copied


def test_skopeo_copies_an_image_into_an_engine_with_the_same_id(
    source: BundleSource, place: str, docker_host: str, tmp_path: Path
) -> None:
    import docker

    image = source.manifest.images[0]
    client = docker.DockerClient(base_url=docker_host, version="auto")
    try:
        copy = ("copy", "--insecure-policy")
        skopeo(*copy, "--dest-decompress", f"{place}:{image.identity_tag}", f"dir:{tmp_path}")
        target = ("--dest-daemon-host", docker_host, f"dir:{tmp_path}", f"docker-daemon:{image.identity_tag}")
        skopeo(*copy, *target)
        found = client.images.get(image.identity_tag).attrs
        assert found["Id"] == image.config.digest
        assert found["RootFS"]["Layers"] == [layer.diff_id for layer in image.layers]
        assert found["Config"]["Cmd"] == ["/app/main.py"]
    finally:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(image.identity_tag, force=True)
        client.close()
