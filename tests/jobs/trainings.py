"""Rows of kind train."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from tests.jobs.data import OF_STAGE
from tests.jobs.on_gpus import rendered
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row, slug

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.jobs.scene import Scene

STEPS = 4
PPO = {"reward_model": "http://10.0.0.9:8001/rewards", "reward_model_type": "api"}
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"finetuning_type": "lora", "lora_rank": 8, "lora_target": "all"},
    "full": {"finetuning_type": "full"},
    "freeze": {"finetuning_type": "freeze", "freeze_trainable_layers": 1},
}
LOSSES = {"orpo": {"pref_loss": "orpo"}, "simpo": {"pref_loss": "simpo"}}
"""What people call a stage → what it is in stage dpo."""


def training(stage: str, method: str, args: Mapping[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """Return a train job of a few steps on both hosts, without DeepSpeed; `keys` are the job's own."""
    loss = LOSSES.get(stage, {})
    named = "dpo" if loss else stage
    small = {
        "cutoff_len": 128,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "max_steps": STEPS,
        "learning_rate": 1.0e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "seed": 7,
    }
    return {
        "kind": "train",
        "model": "tiny",
        "datasets": [OF_STAGE.get(named, "prose")],
        "hosts": ["gpu1", "gpu2"],
        "template": "chatml",
        "zero": None,
        "env": {"OMP_NUM_THREADS": "1"},
        **keys,
        "args": {"stage": named, **loss, **METHODS[method], **small, **(args or {})},
    }


def check_training(scene: Scene, job: dict[str, Any], result: dict[str, Any]) -> str:
    """Return what a training said of itself, once it is what was asked for."""
    first, last, steps = result["first_loss"], result["last_loss"], result["steps"]
    assert result["state"] == "done", result
    assert steps == job["args"]["max_steps"], result
    assert math.isfinite(first), result
    assert math.isfinite(last), result
    assert result["made_files"] > 0, result
    folder = scene.run_folder(result["job"])
    for rank, host in enumerate(job["hosts"]):
        script = "grep -rhoE 'Process rank: [0-9]+, world size: [0-9]+' \"$1\" | sort -u"
        said = scene.lab.exec(host, ("sh", "-c", script, "sh", f"{folder}/logs")).strip()
        assert said == f"Process rank: {rank}, world size: {len(job['hosts'])}", said
    if job["zero"] is not None:
        engine = json.loads(scene.read(job["hosts"][0], f"{folder}/deepspeed.json"))
        assert engine["zero_optimization"]["stage"] == job["zero"], engine
    return f"loss {first:.3f} → {last:.3f} in {steps} steps"


def runs(options: str, job: dict[str, Any]) -> Row:
    """Return the row of a training that runs on stack cpu."""

    def prove(scene: Scene) -> str:
        name = slug(f"train {options}")
        definition = scene.define({name: {**job, "port": scene.port}})
        return check_training(scene, job, scene.kit("up", name, definition=definition))

    return Row("train", options, RAN, prove)


def on_gpus(options: str, method: str, args: Mapping[str, Any] | None = None, **keys: Any) -> Row:
    """Return the row of a training in stage sft that kit renders for GPUs."""
    return rendered("train", options, training("sft", method, args, **keys))


def not_here(options: str, method: str, args: Mapping[str, Any] | None = None, **keys: Any) -> Row:
    """Return the row of a training that kit refuses on stack cpu."""
    return refused("train", options, training("sft", method, args, **keys))


def never(options: str, method: str, args: Mapping[str, Any] | None = None, **keys: Any) -> Row:
    """Return the row of a training that kit refuses on stack cu126, too."""
    return refused("train", options, training("sft", method, args, **keys), stack="cu126")


ONE: dict[str, Any] = {"hosts": ["gpu1"]}
REWARD: dict[str, Any] = {"reward": "judge"}
JUDGE: dict[str, Any] = {"judge": training("rm", "lora", **ONE)}
WHOLE_JUDGE: dict[str, Any] = {"judge": training("rm", "full", **ONE)}
STAGES = (
    runs("sft × lora, one host", training("sft", "lora", **ONE)),
    runs("sft × full, one host", training("sft", "full", **ONE)),
    runs("sft × freeze, one host", training("sft", "freeze", **ONE)),
    runs("pt × lora, one host", training("pt", "lora", **ONE)),
    runs("pt × full, one host", training("pt", "full", **ONE)),
    runs("rm × lora, one host", training("rm", "lora", **ONE)),
    runs("rm × full, one host", training("rm", "full", **ONE)),
    runs("dpo × lora, one host", training("dpo", "lora", **ONE)),
    runs("dpo × full, one host", training("dpo", "full", **ONE)),
    runs("kto × lora, DDP, 2 hosts", training("kto", "lora")),
    runs("kto × full, one host", training("kto", "full", **ONE)),
    runs("orpo × lora, one host", training("orpo", "lora", **ONE)),
    runs("orpo × full, one host", training("orpo", "full", **ONE)),
    runs("simpo × lora, one host", training("simpo", "lora", **ONE)),
)
_OPTIMIZER: dict[str, Any] = {"offload": "optimizer"}
ZERO = (
    runs("sft × full, DDP, 2 hosts", training("sft", "full")),
    runs("sft × full, ZeRO-0, 2 hosts", training("sft", "full", zero=0)),
    runs("sft × full, ZeRO-1, offload optimizer, 2 hosts", training("sft", "full", zero=1, **_OPTIMIZER)),
    runs("sft × lora, ZeRO-2, 2 hosts", training("sft", "lora", zero=2)),
    runs("sft × full, ZeRO-2, offload optimizer, 2 hosts", training("sft", "full", zero=2, **_OPTIMIZER)),
    runs("sft × lora, ZeRO-3, 2 hosts", training("sft", "lora", zero=3)),
    runs("dpo × full, ZeRO-3, offload all, 2 hosts", training("dpo", "full", zero=3, offload="all")),
)
ON_GPUS = (
    on_gpus("qlora, bitsandbytes 4 bit", "lora", {"quantization_bit": 4}),
    on_gpus("qlora, bitsandbytes 8 bit", "lora", {"quantization_bit": 8}),
    on_gpus("sft × full, ZeRO-3, offload all, bf16", "full", {"bf16": True}, zero=3, offload="all"),
    on_gpus("sft × lora, fp16", "lora", {"fp16": True}),
    on_gpus("sft × lora, Liger", "lora", {"enable_liger_kernel": True}),
    on_gpus("sft × lora, flash_attn sdpa", "lora", {"flash_attn": "sdpa"}),
    rendered("train", "ppo × lora, a served reward model", training("ppo", "lora", PPO)),
    rendered(
        "train", "ppo × lora, a reward adapter of another job", training("ppo", "lora", **REWARD), **JUDGE
    ),
    rendered(
        "train", "ppo × full, a reward adapter of another job", training("ppo", "full", **REWARD), **JUDGE
    ),
    rendered("train", "ppo × lora, a whole reward model", training("ppo", "lora", **REWARD), **WHOLE_JUDGE),
    on_gpus("sft × full, FSDP", "full", {"fsdp": "full_shard auto_wrap"}),
    on_gpus("sft × lora, FSDP, offload", "lora", {"fsdp": "full_shard auto_wrap offload"}),
)
NOT_AT_ALL = (
    refused("train", "ppo on stack cpu", training("ppo", "lora")),
    refused("train", "ppo without a reward model", training("ppo", "lora"), stack="cu126"),
    refused(
        "train",
        "ppo with the path of a reward model",
        training("ppo", "lora", {"reward_model": "saves/rm"}),
        stack="cu126",
    ),
    refused(
        "train",
        "ppo with a reward model of stage sft",
        training("ppo", "lora", **REWARD),
        stack="cu126",
        judge=training("sft", "lora"),
    ),
    not_here("qlora on stack cpu", "lora", {"quantization_bit": 4}),
    not_here("bf16 on stack cpu", "lora", {"bf16": True}),
    not_here("Liger on stack cpu", "lora", {"enable_liger_kernel": True}),
    not_here("FSDP on stack cpu", "full", {"fsdp": "full_shard auto_wrap"}),
    not_here("offload to NVMe", "full", zero=3, offload="nvme"),
    not_here("offload without ZeRO", "full", offload="optimizer"),
    not_here("offload all under ZeRO-2", "full", zero=2, offload="all"),
    never("full × quantised weights", "full", {"quantization_bit": 4}),
    never("flash_attn fa2, no flash-attn in the image", "lora", {"flash_attn": "fa2"}),
    never("FSDP under DeepSpeed", "full", {"fsdp": "full_shard"}, zero=2),
    never("Unsloth", "lora", {"use_unsloth": True}),
    never("GaLore, not in the image", "full", {"use_galore": True}),
    never("pure_bf16 under ZeRO-3", "full", {"pure_bf16": True}, zero=3),
)
ROWS = (*STAGES, *ZERO, *ON_GPUS, *NOT_AT_ALL)
