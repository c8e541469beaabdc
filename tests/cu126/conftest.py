"""Images of stack cu126 over a stand-in base: needs root, a Docker engine and some 25 GB of disk."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from kit.images.build_image import Builder, build_recipe
from kit.images.debootstrap_root import DebootstrapRoot
from kit.images.docker_engine import DockerCommand
from kit.images.uv_subprocess import UvSubprocess
from kit.project.model import Mirrors
from tests.cu126.stand_in import NOT_HAD, Notes, docker, stand_in_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("could not be had")
    for line in sorted(NOT_HAD):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if os.geteuid() != 0:
        pytest.skip("root is needed to make the stand-in base")
    if subprocess.run(("docker", "info"), capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers; set DOCKER_HOST")


@pytest.fixture(scope="session")
def builder() -> Builder:
    return Builder(Mirrors(), DockerCommand(), Notes(), UvSubprocess(), DebootstrapRoot())


@pytest.fixture(scope="module")
def image(request: pytest.FixtureRequest, builder: Builder) -> Iterator[str]:
    """The ID of the image that the test names, gone afterwards: each has 7 GB."""
    name: str = request.param
    image_id = build_recipe(stand_in_recipe(name), builder)
    print(docker("history", "--format", "{{.Size}}\t{{.CreatedBy}}", image_id))
    yield image_id
    if not os.environ.get("KIT_KEEP_IMAGES"):
        docker("rmi", "--force", image_id)
        docker("image", "prune", "--force")
