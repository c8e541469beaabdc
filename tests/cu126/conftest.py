"""Images of stack cu126 over a stand-in base: needs root, a Docker engine and some 25 GB of disk."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cu126.stand_in import NOT_HAD, built_image, docker, stand_in_builder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.images.build_image import Builder


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
    return stand_in_builder()


@pytest.fixture(scope="module")
def image(request: pytest.FixtureRequest, builder: Builder) -> Iterator[str]:
    """The ID of the image that the test names."""
    name: str = request.param
    with built_image(name, builder) as image_id:
        print(docker("history", "--format", "{{.Size}}\t{{.CreatedBy}}", image_id))
        yield image_id
