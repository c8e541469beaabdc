"""What packing relies on, asked of real docker engines of three ages and both image stores."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import ImageNotFound

from kit.bundle.digest import hash_chunks
from kit.bundle.docker_engine import DockerEngine
from kit.bundle.docker_load import docker_load_chunks
from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.errors import EngineError
from kit.progress import NoProgress
from tests.lab import Lab, LabUnavailableError
from tests.unit.bundle.factories import pack_request
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.lab
KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))
"""Classic stores, and the containerd store on the newest."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of its own name, beside one that may be up already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "engines")
        patch.setenv("KIT_LAB_STATE", str(tmp_path_factory.mktemp("lab")))
        try:
            started = Lab.up(KINDS)
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            yield started
        finally:
            started.down(purge=True)


@pytest.fixture(scope="module", params=[name for name, _ in KINDS])
def docker_host(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The API of one host's engine, through SSH."""
    socket = tmp_path_factory.mktemp("engine") / "docker.sock"
    options = ("-F", str(lab.ssh_config), "-nNT", "-o", "ExitOnForwardFailure=yes")
    argv = ("ssh", *options, "-L", f"{socket}:/var/run/docker.sock", request.param)
    with subprocess.Popen(argv) as tunnel:
        try:
            while not socket.exists() and tunnel.poll() is None:
                time.sleep(0.05)
            yield f"unix://{socket}"
        finally:
            tunnel.terminate()


@pytest.fixture(scope="module")
def client(docker_host: str) -> Iterator[Any]:
    import docker

    made = docker.DockerClient(base_url=docker_host, version="auto", timeout=300)
    yield made
    made.close()


def _context(dockerfile: str, files: dict[str, bytes]) -> io.BytesIO:
    return io.BytesIO(tar_of({"Dockerfile": dockerfile.encode(), **files}))


@pytest.fixture
def image_id(client: Any) -> Iterator[str]:
    """An image of four layers, the second and the last of the same content."""
    mark = uuid.uuid4().hex.encode()
    base = tar_of({"etc/mark": mark, "data": bytes(range(256)) * 40_000})
    client.api.import_image_from_data(base, repository="kit-contract", tag="base")
    dockerfile = "FROM kit-contract:base\nCOPY a /a\nCOPY b /b\nCOPY a /a\nENV KIT=1\n"
    context = _context(dockerfile, {"a": b"same" + mark, "b": b"other" + mark})
    built, _ = client.images.build(fileobj=context, custom_context=True, tag="kit-contract:top")
    yield built.id
    for tag in ("kit-contract:top", "kit-contract:base"):
        with suppress(ImageNotFound):
            client.images.remove(tag, force=True)


@pytest.fixture
def engine(docker_host: str) -> Iterator[DockerEngine]:
    made = DockerEngine(docker_host)
    yield made
    made.close()


def test_an_image_is_described(engine: DockerEngine, image_id: str) -> None:
    described = engine.inspect("kit-contract:top")
    assert described == engine.inspect(image_id)
    assert described.image_id == image_id
    # A containerd store leaves out the last layer, which changes nothing.
    assert len(described.diff_ids) in (3, 4)
    assert set(described.diff_ids[3:]) <= {described.diff_ids[1]}
    assert described.size > 1000  # of compressed bytes on a containerd store


def test_an_image_that_is_not_there_is_named(engine: DockerEngine) -> None:
    with pytest.raises(EngineError, match="kit-contract:missing"):
        engine.inspect("kit-contract:missing")
    with pytest.raises(EngineError, match="sha256:0000"):
        list(engine.save("sha256:" + "0" * 64))


def test_an_engine_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineError, match=r"unix:///nowhere/docker\.sock"):
        DockerEngine("unix:///nowhere/docker.sock").inspect("x")


def test_an_image_goes_into_a_bundle_and_back_into_the_engine(
    engine: DockerEngine, client: Any, image_id: str, tmp_path: Path
) -> None:
    request = pack_request(FakeEngine(), tmp_path, images=(("contract", image_id),))
    manifest = pack_bundle(request, engine, FolderTarget(tmp_path / "bundle"), NoProgress())
    source = open_bundle(tmp_path / "bundle")
    verify_bundle(source, NoProgress())
    image = manifest.images[0]
    assert len(image.layers) == len(engine.inspect(image_id).diff_ids)

    client.images.remove(image_id, force=True)
    with pytest.raises(EngineError):
        engine.inspect(image_id)
    client.images.load(docker_load_chunks(source, image))
    loaded = engine.inspect(image.identity_tag)
    # A containerd store gives the loaded image a new ID; its config is the same everywhere.
    assert loaded.diff_ids == tuple(layer.diff_id for layer in image.layers)
    again = pack_request(FakeEngine(), tmp_path, images=(("contract", image.identity_tag),))
    assert pack_bundle(again, engine, FolderTarget(tmp_path / "again"), NoProgress()) == manifest
    client.images.remove(image.identity_tag)


def test_the_archive_that_is_loaded_is_one_that_tar_reads(
    engine: DockerEngine, image_id: str, tmp_path: Path
) -> None:
    request = pack_request(FakeEngine(), tmp_path, images=(("contract", image_id),))
    image = pack_bundle(request, engine, FolderTarget(tmp_path / "bundle"), NoProgress()).images[0]
    data = b"".join(docker_load_chunks(open_bundle(tmp_path / "bundle"), image))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for layer in image.layers:
            file = tar.extractfile(layer.diff_id.removeprefix("sha256:") + ".tar")
            assert file is not None
            assert hash_chunks((file.read(),)).digest == layer.diff_id
