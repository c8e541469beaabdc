"""What a real engine pulled from a registry goes into a bundle as its maker published it, byte for byte."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from kit.bundle.compress_layers import plain_layer
from kit.bundle.cut_frames import cut_tar
from kit.bundle.docker_engine import DockerEngine
from kit.bundle.manifest import Image
from kit.bundle.source import BundleSource, open_bundle
from kit.images.base_image import base_tag, ensure_base
from kit.images.build_image import build_image
from kit.images.debootstrap_root import DebootstrapRoot
from kit.images.docker_engine import BuildRequest, DockerCommand
from kit.images.stacks import PulledImage
from kit.progress import NoProgress, Progress
from kit.project.load import LoadedProject, parse_project
from kit.project.lock import ImageLock, Lock, project_digest, write_lock
from kit.project.model import Mirrors
from kit.workflow.bundle_places import Wanted
from kit.workflow.make_bundle import BundleTools, make_bundle
from tests.contract.fake_registry import OCI, FakeRegistry, digest_of, running_registry
from tests.factories import project_document
from tests.unit.bundle.fake_engine import tar_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
OWN = "kit-contract:own"
CREATED = "2026-05-01T12:30:00Z"


@pytest.fixture
def engine(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    made = DockerEngine(docker_host)
    yield made
    made.close()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as found:
        yield found


@dataclass(frozen=True)
class Published:
    """An image as its maker published it."""

    reference: str
    digest: str
    config: bytes
    layers: tuple[bytes, ...]


def _vendors_layer(name: str, time: int) -> bytes:
    """A layer as the world has them: times, users' names, and members in no order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in (f"{name}/z", f"{name}/a"):
            info = tarfile.TarInfo(path)
            data = path.encode() * 3000
            info.size, info.mtime, info.uname, info.mode = len(data), time + 0.25, "vendor", 0o4755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _publish(registry: FakeRegistry, repository: str, *layers: bytes) -> Published:
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED,
            "docker_version": "27",
            "config": {"Env": ["PATH=/bin"], "Hostname": "vendor"},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            "history": [
                {"created": CREATED, "created_by": f"vendor {place}"} for place in range(len(layers))
            ],
        },
        indent=3,
    ).encode()
    packed = [gzip.compress(layer) for layer in layers]
    registry.blobs |= {digest_of(blob): blob for blob in (config, *packed)}

    def entry(kind: str, blob: bytes) -> dict[str, Any]:
        return {"mediaType": f"{OCI}.{kind}", "digest": digest_of(blob), "size": len(blob)}

    kind = f"{OCI}.manifest.v1+json"
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": entry("config.v1+json", config),
        "layers": [entry("layer.v1.tar+gzip", blob) for blob in packed],
    }
    digest = registry.add_manifest(repository, "1", kind, document)
    return Published(f"{registry.host}/{repository}:1", digest, config, layers)


def _build_on(base: Published) -> str:
    """Return the ID of an image with a layer of its own, built as kit builds on a base."""
    docker = DockerCommand()
    pulled = PulledImage(base.reference, base.digest)
    tag = ensure_base(pulled, Mirrors(), docker, DebootstrapRoot(), NoProgress())

    def context(sink: IO[bytes]) -> None:
        sink.write(tar_of({"Dockerfile": f"FROM {tag}\nCOPY own /own\n".encode(), "own": b"own"}))

    return docker.build(BuildRequest("Dockerfile", OWN), context, lambda _: None)


def _make(folder: Path, engine: DockerEngine, tool: Published, base: Published) -> BundleSource:
    project = LoadedProject(parse_project(project_document(images=[], jobs={})), folder)
    locks = (
        ImageLock("tool", tool.reference, tool.digest, "sha256:1", None),
        ImageLock("train", base.reference, base.digest, "sha256:2", "sha256:3"),
    )
    lock = Lock("0.1.0", "cpu", project_digest(project.project), "2026-05-01T12:30:00Z", locks, ())
    write_lock(folder / "kit.lock", lock)

    def build(lock: ImageLock, stack: str, mirrors: Mirrors, progress: Progress) -> str:
        if lock.name == "train":
            return _build_on(base)
        return build_image(lock.name, stack, lock, mirrors, DockerCommand(), progress).image_id

    def fetch(*_: object) -> Any:
        raise AssertionError("no models here")

    made = make_bundle(project, Wanted(), BundleTools(build, fetch, engine), NoProgress())
    return open_bundle(Path(made.path))


def _plain_layers(source: BundleSource, image: Image) -> list[bytes]:
    return [b"".join(plain_layer(source.read(layer.digest), layer, source.where)) for layer in image.layers]


def test_what_was_pulled_keeps_its_bytes_and_its_identity(
    engine: DockerEngine, registry: FakeRegistry, tmp_path: Path
) -> None:
    """A whole image keeps its config; one that is built on another keeps that one's layers."""
    shared = _vendors_layer("shared", 1_700_000_000)
    tool = _publish(registry, "maker/tool", shared, _vendors_layer("tool", 1_710_000_000))
    base = _publish(registry, "maker/base", shared, _vendors_layer("base", 1_720_000_000))
    try:
        source = _make(tmp_path, engine, tool, base)
        packed = {image.name: image for image in source.manifest.images}

        assert packed["tool"].config.digest == digest_of(tool.config)
        assert b"".join(source.read(packed["tool"].config.digest)) == tool.config
        assert _plain_layers(source, packed["tool"]) == list(tool.layers)

        *kept, own = _plain_layers(source, packed["train"])
        assert kept == list(base.layers)
        assert own == b"".join(cut_tar((own,), normalise=True))
        config = json.loads(b"".join(source.read(packed["train"].config.digest)))
        assert config["created"] == config["history"][0]["created"] != CREATED
    finally:
        pulled = tuple(f"{image.reference.removesuffix(':1')}@{image.digest}" for image in (tool, base))
        tags = (base_tag(PulledImage(base.reference, base.digest)), OWN, "kit.invalid/tool:upstream", *pulled)
        subprocess.run(("docker", "rmi", "--force", *tags), capture_output=True, check=False)
