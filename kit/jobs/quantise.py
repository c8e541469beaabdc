"""Whether an export can quantise with GPTQ: what the train image must hold, and the text it calibrates with.

Source: model/model_utils/quantization.py and train/tuner.py of LLaMA-Factory 0.9.3 and 0.9.5. They ask for
optimum and gptqmodel, compute with the model spread over the GPUs or else on the CPUs, take no adapter beside
it, and read the column `text` of the calibration data.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.jobs.held_packages import held_packages
from kit.jobs.llamafactory import dataset_file
from kit.jobs.versions import release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.project.job_model import ExportJob
    from kit.project.model import DatasetSpec, Project

NEEDED = {"optimum": "1.24.0", "gptqmodel": "2.0.0"}
"""Package → the oldest release that LLaMA-Factory takes."""
PROVEN = {
    "cpu": ("optimum==2.2.0", "gptqmodel==5.7.0", "kernels==0.12.3", "torchao==0.17.0"),
    "cu126": ("optimum==1.24.0", "gptqmodel==2.2.0"),
}
"""Stack → packages to ask for: those for CPUs were run, those for GPUs resolved and never run here."""
_SUFFIXES = (".json", ".jsonl")


def check_quantising(project: Project, name: str, job: ExportJob) -> None:
    """Raise ConfigError when a job asks for quantised weights that cannot be made."""
    key = f"jobs.{name}"
    if job.bits is None:
        if job.calibration is not None:
            raise ConfigError("calibration is for bits alone", where=f"{key}.calibration", fix="bits: 4")
        return
    if job.from_ is not None:
        raise ConfigError(
            "LLaMA-Factory merges an adapter or quantises, not both at once",
            where=f"{key}.bits",
            fix=f"one export with `from: {job.from_}`, and another with `model:` that one, and bits",
        )
    missing = tuple(_missing(project, name))
    if missing:
        packages = f"packages: {{train: [{', '.join(PROVEN[project.stack])}]}}"
        raise ConfigError(
            f"GPTQ needs {', '.join(missing)} in the train image",
            where=f"{key}.bits",
            why="gptqmodel is published as source alone, and kit installs wheels alone",
            fix=f"{packages}, with wheels as docs/guide/after-training.md makes them",
        )
    _check_calibration(project, key, job)


def _missing(project: Project, name: str) -> Iterator[str]:
    held = held_packages(project, name)
    for package, oldest in NEEDED.items():
        if package not in held or release(held[package]) < release(oldest):
            yield f"{package} {oldest} or newer"


def _check_calibration(project: Project, key: str, job: ExportJob) -> None:
    where = f"{key}.calibration"
    if job.calibration is None:
        fix = "calibration: a dataset of plain text, e.g. of what the model will write"
        raise ConfigError("GPTQ needs text to calibrate with", where=where, fix=fix)
    spec: DatasetSpec = project.datasets[job.calibration]
    if PurePosixPath(spec.path).suffix.lower() not in _SUFFIXES:
        raise ConfigError("calibration data is read as JSON or JSONL", where=where, fix="write it as .jsonl")
    if spec.columns.get("prompt") != "text":
        fix = f"columns: {{prompt: text}} of datasets.{job.calibration}, and records with that column"
        raise ConfigError("LLaMA-Factory calibrates with the column text alone", where=where, fix=fix)


def quantising_arguments(project: Project, job: ExportJob) -> dict[str, Any]:
    """Return LLaMA-Factory's arguments for quantised weights; none for a job that asks for none."""
    if job.bits is None or job.calibration is None:
        return {}
    file = dataset_file(job.calibration, project.datasets[job.calibration])
    return {
        "export_quantization_bit": job.bits,
        "export_quantization_dataset": file,
        "export_device": "auto",
    }
