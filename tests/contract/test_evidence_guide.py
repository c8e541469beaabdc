"""docs/guide/security-evidence.md is true: every command of it is run, and says what is printed there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.test_signature_guide import Step, steps_of
from tests.lab import LabUnavailableError, online_engine
from tests.unit.bundle.factories import packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine
from tests.unit.bundle.test_bills_of_materials import layer
from tests.unit.sbom.sbom_factories import metadata

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "security-evidence.md"
SITE = "usr/local/lib/python3.11/site-packages"
NEEDED = ("jq", "skopeo", "docker")
PACKED = {"torch": "2.7.1", "xyz": "1"}
OLD = {"torch": "2.6.0"}


def bundle(folder: Path, packages: dict[str, str]) -> None:
    """A bundle of an image with these Python packages."""
    texts = (metadata(name, version, "License: BSD-3-Clause") for name, version in packages.items())
    files = {f"{SITE}/{name}.dist-info/METADATA": text for name, text in zip(packages, texts, strict=True)}
    engine = FakeEngine()
    image = engine.add(layer(files), architecture="amd64", os="linux", config={})
    packed_bundle(folder, engine, images=(("train", image),))


class Officer:
    """A folder with a bundle and an older one, and a shell that goes on where the last command ended."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder, self.engine = folder, engine
        bundle(folder, PACKED)
        bundle(folder / "old", OLD)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.env = {"HOME": str(folder), "PATH": path, "DOCKER_HOST": engine, "NO_COLOR": "1"}

    def run(self, steps: list[Step]) -> list[str]:
        """What each of these commands printed."""
        mark = "= this command is done ="
        # This machine may have no policy file of skopeo's, and its engine is not where skopeo looks.
        commands = (
            step.command.replace("skopeo copy ", "skopeo copy --insecure-policy ").replace(
                " docker-daemon:", f" --dest-daemon-host {self.engine} docker-daemon:"
            )
            for step in steps
        )
        script = "".join(f"{command} 2>&1 || exit 1\necho '{mark}'\n" for command in commands)
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done
        return done.stdout.split(mark + "\n")[:-1]


@pytest.fixture
def officer(tmp_path: Path) -> Officer:
    try:
        engine = online_engine()
    except LabUnavailableError as error:
        pytest.skip(str(error))
    if missing := [program for program in NEEDED if not shutil.which(program)]:
        pytest.skip(f"not here: {', '.join(missing)}")
    return Officer(tmp_path, engine)


@pytest.mark.lab
def test_the_whole_guide_can_be_followed(officer: Officer) -> None:
    blocks = re.findall(r"```console\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    steps = [step for block in blocks for step in steps_of(block)]
    image = next(step for step in steps if step.command.startswith("image="))
    try:
        printed = officer.run(steps)
    finally:
        officer.run([image, Step("docker rmi $image")])
    for step, text in zip(steps, printed, strict=True):
        assert step.is_printed(text), (step, text)
    (found,) = (text for text in printed if re.fullmatch(r"sha256:[0-9a-f]{64}\n", text))
    assert f"/train:{found[7:19]}" in "".join(printed)
