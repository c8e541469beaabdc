"""Where rows are proven: two hosts of the lab that hold the demo's images, and a project folder."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kit.data_files import data_folder
from tests.e2e.demo import cross
from tests.e2e.journey import REPOSITORY, Journey, demo_journey
from tests.jobs.data import OF_STAGE, write_datasets
from tests.jobs.suites import LEARNT, QUIZ, write_suites
from tests.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT, ROOT, PORT = "KIT_JOBS_PROJECT", "KIT_JOBS_ROOT", "KIT_JOBS_PORT"
"""Variables: a folder with a kit.yaml whose bundle was shipped to the lab; `root` there; a port."""
READY = "KIT_JOBS_READY"
"""Set: what an earlier run shipped is there still, and nothing of it has changed."""
FOLDER = REPOSITORY / "build" / "jobs-project"
HOSTS = ("gpu1", "gpu2")


@dataclass
class Scene:
    """A project folder, the lab, and kit's command line."""

    journey: Journey
    root: str
    port: int
    gpu_images: Mapping[str, str] = field(default_factory=dict)
    """Built images of stack cu126 by name, in the online engine: rendered rows are parsed there, too."""

    @property
    def lab(self) -> Lab:
        """The hosts."""
        return self.journey.lab

    @property
    def document(self) -> dict[str, Any]:
        """The kit.yaml without jobs: images, the model `tiny`, datasets, hosts."""
        made: dict[str, Any] = yaml.safe_load((self.journey.folder / "kit.yaml").read_text(encoding="utf-8"))
        return {**made, "jobs": {}}

    def define(self, jobs: Mapping[str, Any], name: str = "row.yaml", **changes: Any) -> str:
        """Write a kit.yaml with these jobs and changed keys beside the project's own; return its name."""
        text = yaml.safe_dump({**self.document, **changes, "jobs": dict(jobs)}, allow_unicode=True)
        (self.journey.folder / name).write_text(text, encoding="utf-8")
        return name

    def kit(self, *words: str, definition: str = "row.yaml") -> dict[str, Any]:
        """Run a kit command on what `define` wrote; return its JSON. Raises StepFailedError."""
        return self.journey.kit(*words, definition=definition)

    def run_folder(self, job: str) -> str:
        """Return the folder of a job's newest run on a host."""
        return f"{self.root}/runs/{job}/latest"

    def read(self, host: str, path: str) -> str:
        """Return a file on a host."""
        return self.lab.exec(host, ("cat", path))


def hostless_scene(folder: Path, chosen: Mapping[str, str] | None = None) -> Scene:
    """Return a scene for rows in which no host takes part; its definition and data are written to a folder.

    `chosen` is the environment of commands.
    """
    made = yaml.safe_load((data_folder("bundles") / "demo" / "kit.yaml").read_text(encoding="utf-8"))
    made["datasets"] |= {**write_datasets(folder), **write_suites(folder)}
    (folder / "kit.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    return Scene(Journey(folder, Lab(HOSTS), dict(chosen or {})), "/aisys/jobs", 11000)


@contextmanager
def jobs_scene() -> Iterator[Scene]:
    """Yield a scene on a lab of its own, or on the one that KIT_JOBS_PROJECT's bundle was shipped to."""
    shared = os.environ.get(PROJECT)
    if shared:
        lab = Lab(HOSTS)
        chosen = {**os.environ}
        yield scene_beside(Journey(Path(shared), lab, chosen), FOLDER)
        return
    with demo_journey() as journey:
        cross(journey)
        yield scene_beside(journey, FOLDER)


def scene_beside(crossed: Journey, folder: Path) -> Scene:
    """Return a scene whose bundle is the crossed one's with our datasets added; blobs are shared by links.

    Its root on the hosts is another one; engines hold the images already, so it is there within seconds.
    """
    root, port = os.environ.get(ROOT, "/aisys/jobs"), int(os.environ.get(PORT, "11000"))
    journey = Journey(folder, crossed.lab, crossed.environment)
    if os.environ.get(READY) and (folder / "bundle").exists():
        return Scene(journey, root, port)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(crossed.folder, folder, copy_function=_link, symlinks=True)
    definition = folder / "kit.yaml"
    made = yaml.safe_load(definition.read_text(encoding="utf-8"))
    definition.unlink()
    made["hosts"] = {name: {**host, "root": root} for name, host in made["hosts"].items() if name in HOSTS}
    made["images"] = [*dict.fromkeys((*made["images"], "proxy"))]
    made["datasets"] = {**made["datasets"], **write_datasets(folder), **write_suites(folder)}
    # A host gets what its jobs name.
    train = {"kind": "train", "model": "tiny", "template": "chatml", "hosts": list(HOSTS)}
    for stage, dataset in OF_STAGE.items():
        made["jobs"][f"reads-{dataset}"] = {**train, "datasets": [dataset], "args": {"stage": stage}}
    made["jobs"]["reads-solved"] = {**train, "datasets": [LEARNT], "args": {"stage": "pt"}}
    made["jobs"]["answers-quiz"] = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"]}
    made["jobs"]["reads-quiz"] = {"kind": "eval", "through": "answers-quiz", "suites": [QUIZ]}
    made["jobs"]["replica"] = {"kind": "serve", "model": "tiny", "hosts": ["gpu2"], "bind": "0.0.0.0"}
    made["jobs"]["front"] = {"kind": "proxy", "to": ["replica"], "hosts": ["gpu1"]}
    definition.write_text(yaml.safe_dump(made, allow_unicode=True), encoding="utf-8")
    journey.kit("lock")
    journey.kit("bundle")
    journey.kit("ship")
    return Scene(journey, root, port)


def _link(source: str, target: str) -> None:
    os.link(source, target, follow_symlinks=False)
