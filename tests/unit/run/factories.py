"""A small intranet in memory: two hosts that the demo's bundle was shipped to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kit.bundle.manifest import Blob, File, FileTree, Image, Layer, Manifest, dump_manifest
from kit.host.facts import HostFacts
from kit.project.load import LoadedProject, parse_project
from kit.run.machine import Toolbox
from kit.run.plan import assumed_facts
from kit.run.record import RunRecord
from kit.run.up import UpRequest, UpResult, up
from tests.factories import project_document
from tests.unit.run.fakes import FakeAgent, FakeClock, FakeHost, Notes

MODEL_FILE = b"weights"


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def image(name: str) -> Image:
    layer = Layer(digest(f"{name} layer"), 10, digest(f"{name} plain"), 20)
    return Image(name, Blob(digest(f"{name} config"), 5), Blob(digest(f"{name} manifest"), 5), (layer,))


def tree(kind: str, name: str, path: str) -> FileTree:
    file = File(path, "sha256:" + hashlib.sha256(MODEL_FILE).hexdigest(), len(MODEL_FILE))
    return FileTree(name, kind, "folder:x", Blob(digest(name), 1), Blob(digest(name + "m"), 1), (file,))


def manifest() -> Manifest:
    trees = (tree("model", "tiny", "config.json"), tree("dataset", "questions", "questions.json"))
    images = tuple(image(name) for name in ("kit", "train", "serve"))
    return Manifest("demo", "cpu", "0.1.0", digest("lock"), "2026-05-01T12:30:00Z", images, trees)


def record(**overrides: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "job": "train",
        "kind": "train",
        "run_id": "20260101-000000-aa",
        "host": "gpu1",
        "hosts": ("gpu1", "gpu2"),
        "rank_zero": "gpu1",
        "compose_project": "kit-train-gpu1",
        "service": "train",
        "image_tag": "kit.invalid/train:0",
        "launch_digest": digest("launch"),
    }
    return RunRecord(**(fields | overrides))


@dataclass
class World:
    """Everything a use case needs, and what it did."""

    loaded: LoadedProject
    hosts: dict[str, FakeHost]
    agents: dict[str, FakeAgent]
    facts: dict[str, HostFacts]
    clock: FakeClock = field(default_factory=FakeClock)
    notes: Notes = field(default_factory=Notes)

    @property
    def toolbox(self) -> Toolbox:
        def connect(name: str, *_: object) -> FakeHost:
            self.hosts[name].closed = False
            return self.hosts[name]

        return Toolbox(
            connect=connect,
            gather_facts=lambda host, _: self.facts[host.name],
            make_agent=lambda host, *_: self.agents[host.name],
            clock=self.clock,
        )

    def up(self, job: str, **overrides: Any) -> UpResult:
        self.clock.now += 1  # run names count seconds
        request = UpRequest(job, "aa", **overrides)
        return up(self.loaded, request, None, self.toolbox, self.notes)

    def change(self, host: str, **facts: Any) -> None:
        self.facts[host] = replace(self.facts[host], **facts)

    def runs(self, host: str) -> list[str]:
        """Return `job/run` of every run folder on a host."""
        folder = self.hosts[host].root / "runs"
        return sorted(f"{path.parent.parent.name}/{path.parent.name}" for path in folder.glob("2*/run.json"))

    def run_folders(self, host: str, job: str) -> list[Path]:
        return sorted(path.parent for path in (self.hosts[host].root / "runs" / job).glob("2*/run.json"))


def make_world(folder: Path, **overrides: Any) -> World:
    """Return two hosts that everything was shipped to."""
    addresses = {"gpu1": "10.0.0.11", "gpu2": "10.0.0.12"}
    specs = {name: {"address": at, "root": str(folder / name)} for name, at in addresses.items()}
    loaded = LoadedProject(parse_project(project_document(hosts=specs) | overrides), folder)
    hosts = {name: FakeHost(name, folder / name) for name in loaded.project.hosts}
    for host in hosts.values():
        ship(host.root)
    facts = {name: _facts(name, loaded) for name in hosts}
    return World(loaded, hosts, {name: FakeAgent(host) for name, host in hosts.items()}, facts)


def ship(root: Path) -> None:
    """Lay out what a ship leaves."""
    for place in ("models/tiny/config.json", "datasets/questions/questions.json"):
        (root / place).parent.mkdir(parents=True)
        (root / place).write_bytes(MODEL_FILE)
    (root / "bundles").mkdir()
    (root / "bundles" / "current.json").write_bytes(dump_manifest(manifest()))


def _facts(name: str, loaded: LoadedProject) -> HostFacts:
    images = tuple((image.identity_tag, image.config.digest) for image in manifest().images)
    return replace(assumed_facts(name, loaded.project.hosts[name]), images=images, architecture="x86_64")
