"""The ready-made bundles and the annotated example are accepted and launched as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from kit.data_files import data_folder
from kit.jobs.make_launch import make_launch
from kit.project.job_model import ApiJob, BoardJob, ChatJob, DataJob, ExportJob, ProxyJob, ServeJob, TrainJob
from kit.project.load import load_project
from kit.project.model import DatasetSpec, HostSpec, Mirrors, ModelSpec, Project
from tests.unit.jobs.launch_factories import RUN_ID, context_of, file_of, service_of, words_of

BUNDLES = data_folder("bundles")
FILES = sorted([*BUNDLES.glob("*/kit.yaml"), BUNDLES / "kit.example.yaml"])
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "kit.yaml.md"
JOB_KINDS: dict[str, type[BaseModel]] = {
    "train": TrainJob,
    "export": ExportJob,
    "serve": ServeJob,
    "data": DataJob,
    "api": ApiJob,
    "chat": ChatJob,
    "board": BoardJob,
    "proxy": ProxyJob,
}


def _keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _launch(file: str, job: str) -> Any:
    project = load_project(BUNDLES / file).project
    return make_launch(project, job, RUN_ID, context_of(project))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_job_of_every_bundle_becomes_a_launch(path: Path) -> None:
    project = load_project(path).project
    facts = {"interfaces": (("eth0", "10.0.0.9"),)}
    for job in project.jobs:
        launch = make_launch(project, job, RUN_ID, context_of(project, **facts))
        assert all(file_of(share, "compose.yaml") for share in launch.hosts)


def test_the_demo_has_the_jobs_that_the_journey_names() -> None:
    project = load_project(BUNDLES / "demo" / "kit.yaml").project
    wanted = {"train", "merge", "serve", "serve-base", "train-zero3", "merge-zero3", "serve-zero3"}
    assert set(project.jobs) == wanted
    assert {host: spec.address for host, spec in project.hosts.items()} == {
        "gpu1": "10.77.0.11",
        "gpu2": "10.77.0.12",
    }
    assert str(project.models["tiny"].path) == "model"


def test_the_demo_asks_six_questions_two_of_them_in_chinese() -> None:
    pairs = json.loads((BUNDLES / "demo" / "data" / "questions.json").read_text(encoding="utf-8"))
    assert len({pair["instruction"] for pair in pairs}) == len({pair["output"] for pair in pairs}) == 6
    chinese = [pair for pair in pairs if re.search(r"[\u4e00-\u9fff]", pair["instruction"])]
    assert len(chinese) == 2


def test_the_demo_trains_eight_pairs_a_step_under_both_stages() -> None:
    for job, stage in (("train", 2), ("train-zero3", 3)):
        launch = _launch("demo/kit.yaml", job)
        arguments = yaml.safe_load(file_of(launch.hosts[0], "train.yaml"))
        size = arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"]
        assert size * len(launch.hosts) == 8
        zero = json.loads(file_of(launch.hosts[0], "deepspeed.json"))["zero_optimization"]
        assert zero["stage"] == stage


def test_the_32b_model_trains_on_eight_gpus_of_two_hosts_and_serves_on_four() -> None:
    train = _launch("qwen3-32b/kit.yaml", "train")
    environments = [service_of(share)["environment"] for share in train.hosts]
    assert sum(int(environment["NPROC_PER_NODE"]) for environment in environments) == 8
    assert yaml.safe_load(file_of(train.hosts[0], "train.yaml"))["bf16"] is True
    words = words_of(_launch("qwen3-32b/kit.yaml", "serve").hosts[0])
    assert {"--tensor-parallel-size=4", "--enable-reasoning", "--reasoning-parser=deepseek_r1"} <= set(words)
    assert _launch("qwen3-32b/kit.yaml", "data").endpoint_port == 1717


def test_pcie_only_cards_train_and_serve_without_peer_to_peer() -> None:
    (train,) = _launch("qwen3-32b-4xl20/kit.yaml", "train").hosts
    (serve,) = _launch("qwen3-32b-4xl20/kit.yaml", "serve").hosts
    for share in (train, serve):
        assert service_of(share)["environment"]["NCCL_P2P_DISABLE"] == "1"
        assert service_of(share)["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 4
    assert "--disable-custom-all-reduce" in words_of(serve)
    assert service_of(train)["environment"]["MASTER_ADDR"] == "127.0.0.1"


def _sections(document: dict[str, Any]) -> list[tuple[str, type[BaseModel], list[dict[str, Any]]]]:
    found: list[tuple[str, type[BaseModel], list[dict[str, Any]]]] = [
        ("top", Project, [document]),
        ("mirrors", Mirrors, [document["mirrors"]]),
        ("models", ModelSpec, list(document["models"].values())),
        ("datasets", DatasetSpec, list(document["datasets"].values())),
        ("hosts", HostSpec, list(document["hosts"].values())),
    ]
    jobs = document["jobs"].values()
    return found + [
        (kind, model, [job for job in jobs if job["kind"] == kind]) for kind, model in JOB_KINDS.items()
    ]


def test_the_example_shows_every_key_that_kit_accepts() -> None:
    document = yaml.safe_load((BUNDLES / "kit.example.yaml").read_text(encoding="utf-8"))
    for section, model, mappings in _sections(document):
        shown = {key for mapping in mappings for key in mapping}
        assert shown == _keys(model), section


def test_the_reference_names_every_key_that_kit_accepts() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for _, model, _ in _sections(yaml.safe_load((BUNDLES / "kit.example.yaml").read_text(encoding="utf-8"))):
        for key in _keys(model):
            assert f"`{key}`" in text, key
