"""A root over another one, built by a real engine: the lower layer is the other root's own."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from kit.images.base_image import ensure_base
from kit.images.docker_engine import DockerCommand
from kit.images.stacks import Debootstrap
from kit.progress import NoProgress
from kit.project.model import Mirrors
from tests.unit.bundle.fake_engine import tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab
LOWER = {"bin/sh": b"sh", "etc/list": b"python"}
UPPER = {**LOWER, "bin/gcc": b"gcc", "etc/list": b"python, gcc"}
SPEC = Debootstrap("layered-root-test", ("gcc", "python"), over=("python",))


@dataclass
class Roots:
    """Roots of a few files."""

    def make(self, spec: Debootstrap, apt_mirror: str | None) -> Iterator[bytes]:
        assert apt_mirror is None
        yield tar_of(UPPER if spec.over else LOWER)


def _inspect(image: str) -> dict[str, Any]:
    printed = subprocess.run(("docker", "image", "inspect", image), check=True, capture_output=True).stdout
    found: dict[str, Any] = json.loads(printed)[0]
    return found


@pytest.mark.parametrize("buildkit", ["0", "1"])
def test_a_root_over_another_has_that_ones_layer_and_what_it_adds(
    buildkit: str, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    monkeypatch.setenv("DOCKER_BUILDKIT", buildkit)
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")  # Debian's docker, which knows both builders
    engine, roots = DockerCommand(), Roots()
    assert SPEC.beneath is not None
    lower = ensure_base(SPEC.beneath, Mirrors(), engine, roots, NoProgress())
    upper = ensure_base(SPEC, Mirrors(), engine, roots, NoProgress())
    try:
        layers = _inspect(upper)["RootFS"]["Layers"]
        assert layers[:1] == _inspect(lower)["RootFS"]["Layers"]
        assert len(layers) == 2
        assert _inspect(upper)["Config"]["Env"] == _inspect(lower)["Config"]["Env"]
        with engine.exported(upper) as tar, tarfile.open(fileobj=BytesIO(tar.read())) as found:
            for name, data in UPPER.items():
                file = found.extractfile(name)
                assert file is not None
                assert file.read() == data
        assert ensure_base(SPEC, Mirrors(), engine, roots, NoProgress()) == upper
    finally:
        subprocess.run(("docker", "rmi", "--force", upper, lower), check=True, capture_output=True)
