from __future__ import annotations

import json
from typing import Any

import pytest

from kit.jobs.deepspeed import deepspeed_json
from kit.project.job_model import TrainJob


def _zero(stage: int, offload: str = "none") -> dict[str, Any]:
    job = TrainJob.model_validate(
        {"kind": "train", "model": "m", "datasets": ["d"], "hosts": ["h"], "zero": stage, "offload": offload}
    )
    document = json.loads(deepspeed_json(job))
    assert document["train_micro_batch_size_per_gpu"] == "auto"
    assert document["bf16"] == {"enabled": "auto"}
    zero: dict[str, Any] = document["zero_optimization"]
    return zero


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_each_stage_is_itself_and_offloads_nothing(stage: int) -> None:
    zero = _zero(stage)
    assert zero["stage"] == stage
    assert not {"offload_optimizer", "offload_param"} & zero.keys()


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_optimizer_goes_to_host_memory(stage: int) -> None:
    zero = _zero(stage, "optimizer")
    assert zero["offload_optimizer"] == {"device": "cpu", "pin_memory": True}
    assert "offload_param" not in zero


def test_without_gpus_the_optimizer_is_pytorchs_own() -> None:
    job = TrainJob.model_validate(
        {"kind": "train", "model": "m", "datasets": ["d"], "hosts": ["h"], "zero": 3, "offload": "all"}
    )
    document = json.loads(deepspeed_json(job, gpus=False))
    assert document["zero_force_ds_cpu_optimizer"] is False
    assert document["zero_optimization"]["offload_param"] == {"device": "cpu", "pin_memory": False}
    assert "zero_force_ds_cpu_optimizer" not in json.loads(deepspeed_json(job, gpus=True))


def test_stage_3_offloads_parameters_and_gathers_weights_when_it_saves() -> None:
    zero = _zero(3, "all")
    assert zero["offload_optimizer"]["device"] == zero["offload_param"]["device"] == "cpu"
    assert zero["stage3_gather_16bit_weights_on_model_save"] is True
    assert not any(key.startswith("stage3") for key in _zero(2))
