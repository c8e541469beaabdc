"""`kit lock` and `kit lock --check` as commands, with a registry on loopback and files beside kit.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.fake_registry import FakeRegistry, running_registry
from tests.factories import RELEASE, project_document

pytestmark = pytest.mark.slow


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as found:
        yield found


def kit(folder: Path, *words: str) -> tuple[int, Any]:
    env = {**os.environ, "KIT_CACHE": str(folder / ".cache"), "DOCKER_CONFIG": str(folder)}
    argv = (sys.executable, "-m", "kit", *words, "--json", "-f", str(folder / "kit.yaml"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path, registry: FakeRegistry) -> Path:
    registry.auth = "token"
    registry.add_list("team/tool", "1.2", ("linux/arm64", "linux/amd64"))
    tool = {"name": "my-tool", "image": f"{registry.host}/team/tool:1.2"}
    registry.raw["/debian/dists/bookworm/Release"] = (200, {}, RELEASE)
    mirrors = {"apt": f"http://{registry.host}/debian"}
    document = project_document(images=["train", "serve", tool], mirrors=mirrors)
    (tmp_path / "kit.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "questions.json").write_text(
        '[{"instruction": "1 + 1?", "input": "", "output": "2"}]'
    )
    status, said = kit(tmp_path, "lock")
    assert (status, said.get("pending")) == (0, []), said
    return tmp_path


def drifts(folder: Path, *words: str) -> tuple[int, list[tuple[str, str, str]]]:
    before = (folder / "kit.lock").read_bytes()
    status, said = kit(folder, "lock", "--check", *words)
    assert (folder / "kit.lock").read_bytes() == before
    return status, [(drift["part"], drift["kind"], drift["what"]) for drift in said["drifts"]]


def test_a_fresh_lock_has_not_drifted_online_or_off(folder: Path, registry: FakeRegistry) -> None:
    locked = json.loads((folder / "kit.lock").read_bytes())
    tool = next(image for image in locked["images"] if image["name"] == "my-tool")
    assert (tool["platform"], tool["base"]) == ("linux/amd64", f"{registry.host}/team/tool:1.2")
    assert drifts(folder) == (0, [])
    asked = len(registry.seen)
    assert drifts(folder, "--offline") == (0, [])
    assert len(registry.seen) == asked


def test_a_tag_that_moved_a_file_and_kit_yaml_are_told_apart(folder: Path, registry: FakeRegistry) -> None:
    registry.add_image("team/tool", "1.2", note="built anew")
    (folder / "model" / "config.json").write_text('{"changed": true}')
    document = yaml.safe_load((folder / "kit.yaml").read_text())
    document["datasets"]["questions"]["format"] = "sharegpt"
    (folder / "kit.yaml").write_text(yaml.safe_dump(document))
    point_release = RELEASE.replace(b" 0 0 ", b" 1 1 ")
    registry.raw["/debian/dists/bookworm/Release"] = (200, {}, point_release)
    status, found = drifts(folder)
    assert status == 3
    debian = [(f"image {name}", "tag", "debootstrap:bookworm") for name in ("kit", "train", "serve")]
    assert found == [
        ("kit.yaml", "project", "what it asks to be bundled"),
        *debian,
        ("image my-tool", "tag", f"{registry.host}/team/tool:1.2"),
        ("model tiny", "file", "config.json"),
    ]
    assert [part for part, *_ in drifts(folder, "--offline")[1]] == ["kit.yaml", "model tiny"]


def test_a_registry_that_is_down_is_said_and_is_no_drift(folder: Path, registry: FakeRegistry) -> None:
    registry.busy = 1000
    assert drifts(folder) == (6, [])
