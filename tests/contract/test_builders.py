"""kit's own image, built for real by the classic builder and by BuildKit, works and says the same."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from kit.images.build_image import LABEL, build_image
from kit.images.docker_engine import DockerCommand
from kit.images.lock_image import ImageResolver
from kit.progress import NoProgress
from kit.project.model import Mirrors

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


class Forgetful(DockerCommand):
    """An engine that has the base, but no image that was built before."""

    def find_image(self, label: str, value: str) -> str | None:
        return None if label == LABEL else super().find_image(label, value)


def _docker(*argv: str) -> str:
    return subprocess.run(("docker", *argv), check=True, capture_output=True, text=True).stdout


def _built(monkeypatch: pytest.MonkeyPatch, buildkit: str) -> dict[str, Any]:
    monkeypatch.setenv("DOCKER_BUILDKIT", buildkit)
    lock = ImageResolver("cpu", Mirrors(), offline=False).lock("kit")
    image_id = build_image("kit", "cpu", lock, Mirrors(), Forgetful(), NoProgress()).image_id
    assert "Usage" in _docker("run", "--rm", "--network=none", image_id, "--help")
    described: dict[str, Any] = json.loads(_docker("image", "inspect", image_id))[0]
    return described


def _prepare_buildkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """See to a docker command that can ask for BuildKit: up to 22 by itself, from 23 on with buildx."""
    if subprocess.run(("docker", "buildx", "version"), capture_output=True, check=False).returncode == 0:
        return
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
    if not _docker("--version").startswith("Docker version 20."):
        pytest.skip("no docker command here can ask for BuildKit: install docker-buildx")


def test_both_builders_make_an_image_that_works_and_says_the_same(
    docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    _prepare_buildkit(monkeypatch)
    buildkit, classic = _built(monkeypatch, "1"), _built(monkeypatch, "0")
    _docker("rmi", "--force", buildkit["Id"])
    for key in ("Labels", "Env", "Entrypoint", "WorkingDir"):
        assert classic["Config"][key] == buildkit["Config"][key]
    # BuildKit gives WORKDIR a layer of its own, an empty one.
    assert len(buildkit["RootFS"]["Layers"]) - len(classic["RootFS"]["Layers"]) in (0, 1)
    assert classic["RootFS"]["Layers"][0] == buildkit["RootFS"]["Layers"][0]
