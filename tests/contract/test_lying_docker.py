"""`kit ship` to this machine, with a docker that lies: that needs neither an engine nor SSH."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from kit.bundle.source import BundleSource
from kit.ship.engine.identity import diff_ids
from tests.contract.lies import AGENTS, LISTS, require_harmless, ship
from tests.unit.bundle.factories import local_tree
from tests.unit.ship.factories import ship_bundle_source

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")]

DOCKER = """#!/bin/sh
case "$*" in
run*) {agent} ;;
*Server.Version*) echo 28.5.2 ;;
*DockerRootDir*) printf '%s\\n' / '[["driver-type","io.containerd.snapshotter.v1"]]' '{{}}' ;;
"image ls"*) echo sha256:aa ;;
"image inspect"*) cat <<'SEEN'
{seen}
SEEN
{lists} ;;
esac
"""
PROJECT = {
    "version": 1,
    "name": "demo",
    "stack": "cpu",
    "images": ["train"],
    "models": {"tiny": {"source": "folder", "path": "model"}},
    "datasets": {"questions": {"path": "questions.json"}},
    "jobs": {"train": {"kind": "train", "model": "tiny", "datasets": ["questions"], "hosts": ["here"]}},
}

QUESTIONS = {"kind": "dataset", "name": "questions", "source": "folder:questions"}


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    made = tmp_path / "made"
    trees = (local_tree(made / "model"), local_tree(made / "data", {"a.json": b"[]"}, **QUESTIONS))
    return ship_bundle_source(made, trees=trees)


def lying_host(folder: Path, source: BundleSource, *, agent: str = "exit 0", lists: str = "") -> Path:
    """A kit.yaml with a host that has kit's image in its engine; what its docker says besides is a lie."""
    kit = source.manifest.image("kit")
    assert kit is not None
    tags, layers = json.dumps([kit.identity_tag]), json.dumps(diff_ids(kit)).replace(" ", "")
    seen = f"kit:stored {kit.manifest.digest} {tags} {layers}"
    (folder / "bin").mkdir()
    (folder / "bin" / "docker").write_text(DOCKER.format(agent=agent, seen=seen, lists=lists))
    (folder / "bin" / "docker").chmod(0o755)
    document = PROJECT | {"hosts": {"here": {"address": "local", "root": str(folder / "root")}}}
    (folder / "kit.yaml").write_text(yaml.safe_dump(document))
    return folder / "kit.yaml"


def env(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_that_lies_is_refused(tmp_path: Path, source: BundleSource, name: str) -> None:
    script, code = AGENTS[name]
    (tmp_path / "home").mkdir()
    definition = lying_host(tmp_path, source, agent=script)
    ended = ship(definition, tmp_path / "made/bundle", tmp_path / "home", env(tmp_path))
    require_harmless(ended, tmp_path / "home")
    error = json.loads(ended.out)["error"]
    assert ended.status == error["exit_code"] == code, error
    assert "here" in error["where"]


@pytest.mark.parametrize("name", LISTS)
def test_lists_that_lie_do_nothing(tmp_path: Path, source: BundleSource, name: str) -> None:
    script, codes = LISTS[name]
    (tmp_path / "home").mkdir()
    definition = lying_host(tmp_path, source, lists=script)
    ended = ship(definition, tmp_path / "made/bundle", tmp_path / "home", env(tmp_path))
    require_harmless(ended, tmp_path / "home")
    # An honest list would be followed by this agent's silence.
    assert ended.status in {6 if code == 0 else code for code in codes}
