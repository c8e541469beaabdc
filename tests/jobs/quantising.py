"""Rows of GPTQ: run on CPUs in an image with packages of its own, rendered for GPUs, refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kit.jobs.make_launch import make_launch
from kit.jobs.quantise import PROVEN
from kit.project.load import parse_project
from tests.e2e.journey import REPOSITORY, Journey
from tests.jobs.on_gpus import IMAGES, check_share
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, RENDERED, Row
from tests.unit.jobs.launch_factories import RUN_ID, context_of, gpus

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

FOLDER = REPOSITORY / "build" / "jobs-gptq"
_SMALLER = ("device-smi==0.5.7", "tokenicer==0.0.14", "logbar==0.4.15", "pypcre==0.6.4")
_TEXTS = {"path": "data/texts.jsonl", "columns": {"prompt": "text"}}
_LEARNS = {
    "finetuning_type": "lora",
    "lora_rank": 32,
    "lora_alpha": 64,
    "lora_dropout": 0.0,
    "lora_target": "all",
    "per_device_train_batch_size": 8,
    "max_steps": 120,
    "learning_rate": 5.0e-3,
    "cutoff_len": 128,
    "seed": 7,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 10,
    "logging_steps": 10,
    "save_strategy": "no",
}
_CALIBRATES = {"export_quantization_nsamples": 16, "export_quantization_maxlen": 64}
_BITS: dict[str, Any] = {"kind": "export", "template": "chatml", "calibration": "texts", "args": _CALIBRATES}


def _jobs(port: int) -> dict[str, Any]:
    one = {"hosts": ["gpu1"], "env": {"OMP_NUM_THREADS": "1"}}
    train = {"kind": "train", "model": "wide", "datasets": ["questions"], "template": "chatml", "zero": None}
    serve = {"kind": "serve", "model": "small", "dtype": "bfloat16", "max_model_len": 256, "port": port}
    return {
        "row-train": {**train, "port": port + 1, "args": _LEARNS, **one},
        "row-merge": {"kind": "export", "from": "row-train", "args": {"infer_dtype": "float32"}},
        "small": {**_BITS, "model": "row-merge", "bits": 4, "env": one["env"]},
        "row-serve": {**serve, "args": {"enforce_eager": True}, "hosts": ["gpu1"]},
    }


def _wheels(folder: Path) -> None:
    """Make the wheels that docs/guide/after-training.md makes, as it does."""
    build = folder.parent / "jobs-gptq-build"
    python = [sys.executable, "-m", "uv"]
    links = os.environ.get("PIP_FIND_LINKS")
    torch = ["--find-links", links] if links else ["--torch-backend", "cpu"]
    subprocess.run([*python, "venv", "-q", "--clear", "--seed", "-p", "3.11", str(build)], check=True)
    tools = ["torch==2.13.0+cpu", "setuptools<82", "wheel", "ninja"]
    subprocess.run([*python, "pip", "install", "-q", "-p", str(build), *torch, *tools], check=True)
    wheel = [str(build / "bin" / "pip"), "wheel", "-q", "--no-deps", "-w", str(folder)]
    chosen = {**os.environ, "BUILD_CUDA_EXT": "0", "CUDA_ARCH_LIST": "8.0"}
    subprocess.run([*wheel, "--no-build-isolation", "gptqmodel==5.7.0"], env=chosen, check=True)
    subprocess.run([*wheel, *_SMALLER], env=chosen, check=True)
    shutil.rmtree(build)


def _wide_model(out: Path) -> None:
    """Make the demo's model with layers as wide as a group of GPTQ."""
    demo = REPOSITORY / "bundles" / "demo"
    found = importlib.util.spec_from_file_location("wide_model", demo / "make_model.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    vars(module).update(HIDDEN=128, INTERMEDIATE=384)
    module.make_model(out, demo / "data" / "questions.json")


def _texts(out: Path) -> None:
    pairs = json.loads(
        (REPOSITORY / "bundles" / "demo" / "data" / "questions.json").read_text(encoding="utf-8")
    )
    lines = [f"{pair['instruction']} {pair['output']}" for pair in pairs]
    turned = (" ".join((*lines[at:], *lines[:at]) * 2) for at in range(len(lines)))
    out.write_text("".join(f"{json.dumps({'text': text})}\n" for text in turned), encoding="utf-8")


def _crossed(scene: Scene) -> Journey:
    """Ship a bundle with another train image beside the scene's; return its journey."""
    wheels = FOLDER.parent / "jobs-gptq-wheels"
    if not wheels.is_dir():
        _wheels(wheels)
    links = " ".join(filter(None, (os.environ.get("PIP_FIND_LINKS"), str(wheels))))
    chosen = {**scene.journey.environment, "UV_FIND_LINKS": links.replace(" ", ",")}
    journey = Journey(FOLDER, scene.lab, chosen)
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(scene.journey.folder, FOLDER, copy_function=os.link, symlinks=True)
    (FOLDER / "kit.yaml").unlink()
    _wide_model(FOLDER / "wide")
    _texts(FOLDER / "data" / "texts.jsonl")
    made = scene.document
    host = {"gpu1": {**made["hosts"]["gpu1"], "root": f"{scene.root}-gptq"}}
    made |= {
        "images": ["train", "serve"],
        "models": {"wide": {"source": "folder", "path": "wide"}},
        "hosts": host,
    }
    made |= {"packages": {"train": list(PROVEN["cpu"])}, "jobs": _jobs(scene.port)}
    made["datasets"] = {"questions": made["datasets"]["questions"], "texts": _TEXTS}
    (FOLDER / "kit.yaml").write_text(yaml.safe_dump(made, allow_unicode=True), encoding="utf-8")
    for verb in ("lock", "bundle", "ship"):
        journey.kit(verb)
    return journey


def _quantised(scene: Scene) -> str:
    """Train, merge, quantise, serve: the model of 4 bits still knows what it was taught."""
    journey = _crossed(scene)
    for job in ("row-train", "row-merge", "small", "row-serve"):
        journey.kit("up", job)
    try:
        rows = journey.ask_all("row-serve")
    finally:
        journey.kit("down", "row-serve")
    right = sum(expected == answer.strip() for _, expected, answer in rows)
    assert right >= len(rows) - 1, rows
    return f"vLLM in bfloat16 gives {right} of {len(rows)} answers that the training taught, word for word"


def _rendered(scene: Scene) -> str:
    made = scene.document
    hosts = {name: {**host, "gpus": 4} for name, host in made["hosts"].items()}
    job = {**_BITS, "model": "tiny", "bits": 4, "hosts": ["gpu1"]}
    made |= {"stack": "cu126", "images": IMAGES, "hosts": hosts, "jobs": {"row": job}}
    made["packages"] = {"train": list(PROVEN["cu126"])}
    project = parse_project({**made, "datasets": {**made["datasets"], "texts": _TEXTS}})
    launch = make_launch(project, "row", RUN_ID, context_of(project, gpus=gpus(4), nvidia_runtime=True))
    (count,) = (check_share(project, "row", share) for share in launch.hosts)
    return f"{count} arguments in the recorded parser, 1 compose files valid; it computes on GPUs"


ROWS = (
    Row("export", "GPTQ, 4 bits, of what was merged; served", RAN, _quantised),
    Row("export", "GPTQ, 4 bits, of a model", RENDERED, _rendered, "train"),
    refused(
        *("export", "GPTQ in the stack's own image"),
        {**_BITS, "model": "tiny", "bits": 4, "hosts": ["gpu1"], "calibration": "questions"},
        says="gptqmodel 2.0.0 or newer",
    ),
)
