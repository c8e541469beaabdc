"""Rows of stack cu126, which need a GPU to run: the launch is made, and held against what programs read."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kit.jobs.argument_table import known_arguments
from kit.jobs.argument_value import wrong_value
from kit.jobs.make_launch import make_launch
from kit.project.job_model import ServeJob
from kit.project.load import parse_project
from kit.project.references import image_of
from tests.jobs.inside_image import parsed_inside
from tests.jobs.row import RENDERED, Row
from tests.unit.jobs.launch_factories import RUN_ID, context_of, file_of, gpus

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

    from kit.jobs.argument_table import Table
    from kit.jobs.launch import HostLaunch
    from kit.project.model import Project
    from tests.jobs.scene import Scene

SCHEMAS = Path(__file__).parents[1] / "contract" / "compose_schemas"
IMAGES = ["train", "serve", "serve-sglang", "proxy", "data"]


def gpu_project(document: dict[str, Any], jobs: dict[str, Any]) -> Project:
    """Return a scene's project on stack cu126: two hosts of four GPUs."""
    hosts = {name: {**host, "gpus": 4} for name, host in document["hosts"].items()}
    return parse_project({**document, "stack": "cu126", "images": IMAGES, "hosts": hosts, "jobs": jobs})


def rendered(
    kind: str, options: str, job: dict[str, Any], why: str = "it computes on GPUs", **others: Any
) -> Row:
    """Return the row of a job that kit renders for cu126; `others` are jobs that it refers to."""

    def prove(scene: Scene) -> str:
        project = gpu_project(scene.document, {"row": job, **others})
        context = context_of(project, gpus=gpus(4), nvidia_runtime=True)
        launch = make_launch(project, "row", RUN_ID, context)
        found = [check_share(project, "row", share) for share in launch.hosts]
        image = scene.gpu_images.get(image_of(project, "row"))
        inside = f" {parsed_inside(image, launch.hosts, scene.journey.environment)}" if image else ""
        recorded = f"{max(found)} arguments in the recorded parser{inside}"
        return f"{recorded}, {len(found)} compose files valid; {why}"

    return Row(kind, options, RENDERED, prove, _image_of(job))


def _image_of(job: dict[str, Any]) -> str:
    if job["kind"] != "serve":
        return "train"
    return "serve-sglang" if job.get("engine") == "sglang" else "serve"


@cache
def _validator(name: str) -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))


def check_share(project: Project, job: str, share: HostLaunch) -> int:
    """Validate a host's compose file and LLaMA-Factory's arguments; return how many of these there are."""
    compose = yaml.safe_load(file_of(share, "compose.yaml"))
    for name in ("compose-1.29.2", "compose-go-2.4.8"):
        assert not list(_validator(name).iter_errors(compose)), (share.host, name)
    known = known_arguments(project, job)
    if known is not None and known.table is not None and isinstance(project.jobs[job], ServeJob):
        return _known_flags(compose["services"]["serve"]["command"], known.table)
    written = [
        file for file in share.files if file.path in ("train.yaml", "export.yaml", "api.yaml", "chat.yaml")
    ]
    if known is None or known.table is None or not written:
        return 0
    arguments = yaml.safe_load(written[0].content)
    for name, value in arguments.items():
        assert name in known.table, name
        assert wrong_value(known.table[name], value) is None, (name, value)
    return len(arguments)


def _known_flags(words: list[str], table: Table) -> int:
    """Return how many flags an engine is given, every one of them in its recorded parser."""
    flags = [word.partition("=")[0].removeprefix("--") for word in words if word.startswith("--")]
    for flag in flags:
        assert flag in table, flag
    return len(flags)
