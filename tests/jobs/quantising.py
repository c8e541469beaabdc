"""Rows of GPTQ: rendered for GPUs, refused without its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.jobs.make_launch import make_launch
from kit.jobs.quantise import PROVEN
from kit.project.load import parse_project
from tests.jobs.on_gpus import IMAGES, check_share
from tests.jobs.refusals import refused
from tests.jobs.row import RENDERED, Row
from tests.unit.jobs.launch_factories import RUN_ID, context_of, gpus

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

_TEXTS = {"path": "data/texts.jsonl", "columns": {"prompt": "text"}}
_CALIBRATES = {"export_quantization_nsamples": 16, "export_quantization_maxlen": 64}
_BITS: dict[str, Any] = {"kind": "export", "template": "chatml", "calibration": "texts", "args": _CALIBRATES}


def _rendered(scene: Scene) -> str:
    made = scene.document
    hosts = {name: {**host, "gpus": 4} for name, host in made["hosts"].items()}
    job = {**_BITS, "model": "tiny", "bits": 4, "hosts": ["gpu1"]}
    made |= {"stack": "cu126", "images": IMAGES, "hosts": hosts, "jobs": {"row": job}}
    made["packages"] = {"train": PROVEN["cu126"].split(", ")}
    project = parse_project({**made, "datasets": {**made["datasets"], "texts": _TEXTS}})
    launch = make_launch(project, "row", RUN_ID, context_of(project, gpus=gpus(4), nvidia_runtime=True))
    (count,) = (check_share(project, "row", share) for share in launch.hosts)
    return f"{count} arguments in the recorded parser, 1 compose files valid; it computes on GPUs"


ROWS = (
    Row("export", "GPTQ, 4 bits, of a model", RENDERED, _rendered, "train"),
    refused(
        *("export", "GPTQ in the stack's own image"),
        {**_BITS, "model": "tiny", "bits": 4, "hosts": ["gpu1"], "calibration": "questions"},
        says="gptqmodel 2.0.0 or newer",
    ),
)
