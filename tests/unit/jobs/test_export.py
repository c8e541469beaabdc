from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.jobs.launch import AdapterShape, LaunchContext, ModelSource
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    file_of,
    gpu_document,
    launch_of,
    service_of,
    words_of,
)

ADAPTER = "/aisys/kit/runs/train/20251231-000000-0000/out"


def _arguments(made: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = yaml.safe_load(file_of(launch_of(made, "merge").hosts[0], "export.yaml"))
    return arguments


def test_an_adapter_is_merged_into_its_model_where_it_was_trained() -> None:
    (share,) = launch_of(document(), "merge").hosts
    assert share.host == "gpu1"
    assert words_of(share) == ["llamafactory-cli", "export", "/kit/run/export.yaml"]
    mounts = {mount["target"]: mount["source"] for mount in service_of(share)["volumes"]}
    assert mounts["/kit/models/tiny"] == "/aisys/kit/models/tiny"
    assert mounts["/kit/adapters/train"] == ADAPTER
    arguments = yaml.safe_load(file_of(share, "export.yaml"))
    assert arguments["model_name_or_path"] == "/kit/models/tiny"
    assert arguments["adapter_name_or_path"] == "/kit/adapters/train"
    assert arguments["export_dir"] == "/kit/run/out"
    assert arguments["finetuning_type"] == "lora"
    assert arguments["template"] == "qwen3"


def test_what_a_full_training_made_is_exported_without_an_adapter() -> None:
    made = document({"args": {"finetuning_type": "full"}})
    arguments = _arguments(made)
    assert arguments["model_name_or_path"] == "/kit/models/train"
    assert "adapter_name_or_path" not in arguments


def test_what_changed_the_model_in_training_holds_for_the_merge() -> None:
    made = document({"args": {"resize_vocab": True, "lora_rank": 4}})
    arguments = _arguments(made)
    assert arguments["resize_vocab"] is True
    assert "lora_rank" not in arguments


def test_a_merge_reaches_no_network_and_no_gpu() -> None:
    service = service_of(launch_of(gpu_document(), "merge").hosts[0])
    assert service["network_mode"] == "none"
    assert "extra_hosts" not in service
    assert "deploy" not in service
    assert service["environment"]["CUDA_VISIBLE_DEVICES"] == ""


def test_a_merge_takes_gpus_when_told_to() -> None:
    made = gpu_document({"args": {"export_device": "auto"}}, name="merge")
    service = service_of(launch_of(made, "merge").hosts[0])
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 4
    assert "CUDA_VISIBLE_DEVICES" not in service["environment"]


@pytest.mark.parametrize(
    ("job", "key"),
    [
        ({"args": {"export_dir": "/x"}}, "jobs.merge.args.export_dir"),
        ({"args": {"adapter_name_or_path": "/x"}}, "jobs.merge.args.adapter_name_or_path"),
        ({"args": {"export_quantization_bit": 4}}, "jobs.merge.args.export_quantization_bit"),
        ({"bits": 4}, "jobs.merge.bits"),
        ({"calibration": "questions"}, "jobs.merge.calibration"),
        ({"hosts": ["gpu1", "gpu2"]}, "jobs.merge.hosts"),
    ],
)
def test_what_cannot_work_is_refused_with_key_and_fix(job: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launch_of(document(job, name="merge"), "merge")
    assert caught.value.where == key
    assert caught.value.fix


def test_a_merge_before_the_training_is_refused_with_the_command_that_trains() -> None:
    project = parse_project(document())
    context = context_of(project)
    with pytest.raises(ConfigError, match="kit up train"):
        make_launch(project, "merge", RUN_ID, LaunchContext(context.images, context.facts))


def test_an_adapter_in_a_folder_with_a_space_is_refused() -> None:
    project = parse_project(document())
    context = context_of(project)
    sources = {"train": ModelSource("train", "/aisys/my kit/out")}
    with pytest.raises(ConfigError, match="split at spaces"):
        make_launch(project, "merge", RUN_ID, LaunchContext(context.images, context.facts, sources))


@pytest.mark.parametrize("job", ["merge", "try"])
def test_an_adapter_that_was_made_before_its_model_changed_is_refused(job: str) -> None:
    made = document()
    made["jobs"]["try"] = {"kind": "api", "from": "train", "hosts": ["gpu1"]}
    project = parse_project(made)
    for model, fits in (("tiny", True), ("older", False)):
        source = ModelSource("train", ADAPTER, adapter=AdapterShape(8, f"/kit/models/{model}"))
        context = replace(context_of(project), sources={"train": source})
        if fits:
            make_launch(project, job, RUN_ID, context)
            continue
        with pytest.raises(ConfigError, match="the newest adapter of train is one for 'older'") as caught:
            make_launch(project, job, RUN_ID, context)
        assert (caught.value.where, caught.value.fix) == (f"jobs.{job}.from", "kit up train")


OWN = {"train": ["optimum==1.24.0", "gptqmodel==2.2.0"]}


def quantising(packages: Any = OWN, dataset: Any = None, **job: Any) -> dict[str, Any]:
    made = gpu_document()
    made["packages"] = packages
    made["datasets"]["prose"] = {"path": "data/prose.jsonl", "columns": {"prompt": "text"}} | (dataset or {})
    made["jobs"]["small"] = {"kind": "export", "model": "merge", "bits": 4, "calibration": "prose"} | job
    return made


def test_what_was_merged_is_quantised_with_text_to_calibrate_with_on_gpus() -> None:
    (share,) = launch_of(quantising(), "small").hosts
    written = yaml.safe_load(file_of(share, "export.yaml"))
    assert written["export_quantization_bit"] == 4
    assert written["export_quantization_dataset"] == "/kit/data/prose/prose.jsonl"
    assert written["model_name_or_path"] == "/kit/models/merge"
    assert written["export_device"] == "auto"
    assert "adapter_name_or_path" not in written
    service = service_of(share)
    assert service["deploy"]["resources"]["reservations"]["devices"]
    assert "/kit/data/prose" in [mount["target"] for mount in service["volumes"]]


def test_without_gpus_the_cpus_quantise() -> None:
    made = quantising() | {"stack": "cpu", "images": ["train", "serve"]}
    (share,) = launch_of(made, "small").hosts
    assert "deploy" not in service_of(share)
    assert service_of(share)["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    assert yaml.safe_load(file_of(share, "export.yaml"))["export_quantization_bit"] == 4


def test_the_packages_that_quantising_lacks_are_named_for_the_stack() -> None:
    for stack, pin in (("cpu", "kernels==0.12.3"), ("cu126", "gptqmodel==2.2.0")):
        made = quantising(packages={}) | {"stack": stack, "images": ["train", "serve"]}
        with pytest.raises(ConfigError) as caught:
            launch_of(made, "small")
        assert pin in str(caught.value.fix)


def test_a_model_is_written_anew_without_a_training() -> None:
    made = document()
    made["jobs"]["again"] = {"kind": "export", "model": "tiny", "hosts": ["gpu2"], "args": {"export_size": 1}}
    (share,) = launch_of(made, "again").hosts
    written = yaml.safe_load(file_of(share, "export.yaml"))
    assert (share.host, written["export_size"], written["template"]) == ("gpu2", 1, "qwen3")
    assert "export_quantization_bit" not in written


@pytest.mark.parametrize(
    ("made", "key", "said"),
    [
        (quantising(packages={}), "jobs.small.bits", "optimum 1.24.0 or newer, gptqmodel 2.0.0 or newer"),
        (
            quantising(packages={"train": ["optimum==1.24.0", "gptqmodel==1.9.0"]}),
            "jobs.small.bits",
            "gptqmodel",
        ),
        (quantising(calibration=None), "jobs.small.calibration", "text to calibrate with"),
        (quantising(dataset={"path": "data/prose.txt"}), "jobs.small.calibration", "JSON or JSONL"),
        (quantising(dataset={"columns": {"prompt": "words"}}), "jobs.small.calibration", "column text"),
    ],
)
def test_quantising_that_cannot_work_is_refused_with_its_reason(
    made: dict[str, Any], key: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        launch_of(made, "small")
    assert caught.value.where == key


@pytest.mark.parametrize("job", [{"from": "train"}, {"model": None}, {"model": "small"}, {"bits": 5}])
def test_an_export_names_one_thing_to_write(job: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"jobs\.small"):
        parse_project(quantising(**job))
