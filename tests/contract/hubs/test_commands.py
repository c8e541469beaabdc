"""kit's own commands against a hub on loopback: lock, fetch, killed and run again, logged in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.progress import NoProgress
from tests.factories import debian_mirror
from tests.hub_server.faults import Status, Wrong
from tests.hub_server.repository import COMMIT, NAME, OTHER_COMMIT, TOKEN
from tests.hub_server.server import Hub, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
LARGE = "model.safetensors"
FILES = {
    "config.json": b"{}",
    "modeling_tiny.py": b"pass",
    "pytorch_model.bin": b"pickle",
    LARGE: os.urandom(8_000_000),
}
TAKEN = {path: data for path, data in FILES.items() if path != "pytorch_model.bin"}
BUNDLING = ("-m", "tests.hub_server.bundle_without_engine")


@dataclass
class Project:
    """A folder with a kit.yaml that names a model on the hub."""

    folder: Path
    hub: Hub
    origin: str
    env: dict[str, str]

    def write(self, *, mirror: bool = True) -> None:
        document: dict[str, Any] = {
            "version": 1,
            "name": "demo",
            "stack": "cpu",
            "models": {"tiny": {"source": self.origin, "repo": NAME, "revision": "main"}},
        }
        document["mirrors"] = {"apt": debian_mirror(self.folder)}
        if mirror:
            document["mirrors"]["hub"] = {self.origin: self.hub.endpoint}
        (self.folder / "kit.yaml").write_text(json.dumps(document))

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = (sys.executable, *words)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err

    def lock(self) -> tuple[int, str]:
        return self.run("-m", "kit", "lock")

    def bundle(self) -> tuple[int, str]:
        return self.run(*BUNDLING)

    def bundled(self) -> dict[str, bytes]:
        source = open_bundle(self.folder / "bundle")
        verify_bundle(source, NoProgress())
        (tree,) = source.manifest.trees
        return {file.path: b"".join(source.read(file.digest)) for file in tree.files}


@pytest.fixture(params=["huggingface", "modelscope"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith("_TOKEN") and not key.startswith("XDG_")
    }
    root = Path(__file__).resolve().parents[2]
    env |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(root)}
    (tmp_path / "project").mkdir()
    pytest.importorskip({"huggingface": "huggingface_hub", "modelscope": "modelscope_hub"}[request.param])
    with running_hub(dict(FILES)) as hub:
        project = Project(tmp_path / "project", hub, request.param, env)
        project.write()
        yield project


one = pytest.mark.parametrize("project", ["modelscope"], indirect=True)
"""Both hubs' files come the same way; where nothing else matters, one of them will do."""


def test_a_model_is_locked_and_fetched_and_the_second_time_nothing_is_asked(project: Project) -> None:
    code, said = project.lock()
    assert code == 0, said
    assert "tiny: modeling_tiny.py" in said
    assert "these stay out: pytorch_model.bin" in said
    lock = json.loads((project.folder / "kit.lock").read_text())
    (tree,) = lock["trees"]
    assert (tree["asked"], [file["path"] for file in tree["files"]]) == ("main", sorted(TAKEN))
    code, said = project.bundle()
    assert code == 0, said
    assert project.bundled() == TAKEN
    project.hub.seen.clear()
    assert project.bundle()[0] == 0
    assert project.hub.seen == []


def test_a_killed_kit_goes_on_where_it_was(project: Project) -> None:
    assert project.lock()[0] == 0
    project.hub.rate = 4_000_000
    process = project.start(*BUNDLING)
    partial = project.folder / ".kit" / "hub" / "partial"
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size > 2_000_000 for path in partial.glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    project.hub.rate = 0
    project.hub.seen.clear()
    code, said = project.bundle()
    assert code == 0, said
    (again,) = project.hub.asked(LARGE)
    assert again.start >= 2_000_000
    assert project.bundled() == TAKEN


@one
def test_ctrl_c_ends_it_soon(project: Project) -> None:
    assert project.lock()[0] == 0
    project.hub.rate = 500_000
    process = project.start(*BUNDLING)
    partial = project.folder / ".kit" / "hub" / "partial"
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in partial.glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 3


@one
def test_wrong_bytes_end_with_3_and_a_hub_that_fails_with_4(project: Project) -> None:
    assert project.lock()[0] == 0
    project.hub.faults[LARGE] += [Wrong(), Wrong()]
    code, said = project.bundle()
    assert code == 3
    assert all(word in said for word in (LARGE, "expected sha256:", "got sha256:", project.origin))
    project.hub.faults[LARGE] += [Status(429, "86400")]
    code, said = project.bundle()
    assert code == 4
    assert "Traceback" not in said


def test_a_branch_that_moved_is_said_by_the_next_lock(project: Project) -> None:
    assert project.lock()[0] == 0
    known = project.hub.repository
    known.commits[OTHER_COMMIT] = {**FILES, "config.json": b"[]"}
    known.branches["main"] = OTHER_COMMIT
    code, said = project.lock()
    assert code == 0
    moved = project.origin == "huggingface"
    assert (f"main moved from {COMMIT[:12]} to {OTHER_COMMIT[:12]}" in said) == moved
    assert "config.json changed" in said


def log_in(project: Project) -> None:
    """Leave the files that the hubs' own logins leave."""
    home = Path(project.env["HOME"])
    if project.origin == "modelscope":
        from modelscope_hub.config import HubConfig

        HubConfig(project.hub.endpoint, config_dir=home / ".modelscope").save_token(TOKEN)
        return
    place = home / ".cache" / "huggingface" / "token"
    place.parent.mkdir(parents=True)
    place.write_text(TOKEN)


@pytest.mark.parametrize("way", ["environment", "login"])
def test_a_closed_model_is_opened_by_a_token_or_by_the_hubs_own_login(project: Project, way: str) -> None:
    project.hub.repository.closed = "gated"
    if way == "environment":
        name = {"huggingface": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}[project.origin]
        project.env[name] = TOKEN
    else:
        log_in(project)
        name = {"huggingface": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}[project.origin]
        project.env[name] = project.hub.endpoint
        project.write(mirror=False)
    results = [project.lock()]
    results += [project.bundle()] if results[0][0] == 0 else []
    said = "".join(text for _, text in results)
    assert results[-1][0] == 0, said
    assert TOKEN not in said
    assert not [
        path for path in project.folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
