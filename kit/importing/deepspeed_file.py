"""The user's own DeepSpeed configuration: which stage and offloading it means, what is lost. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kit.importing.change import shown
from kit.jobs.deepspeed import deepspeed_json
from kit.project.job_model import TrainJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.importing.draft import Invocation

Offload = Literal["none", "optimizer", "all"]
_OF_TRAINER = {
    # DeepSpeed's key → the Trainer's argument of the same meaning
    "train_micro_batch_size_per_gpu": "per_device_train_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "gradient_clipping": "max_grad_norm",
    "optimizer.params.lr": "learning_rate",
    "optimizer.params.weight_decay": "weight_decay",
    "optimizer.params.eps": "adam_epsilon",
    "scheduler.params.warmup_num_steps": "warmup_steps",
    "bf16.enabled": "bf16",
    "fp16.enabled": "fp16",
}
_STAGE_3 = 3
_OFFLOADS = (
    "zero_optimization.offload_optimizer",
    "zero_optimization.offload_param",
    "zero_optimization.cpu_offload",
)


@dataclass(frozen=True, slots=True)
class ZeroChoice:
    """What `zero` and `offload` of a job say, and arguments that stood in the file."""

    zero: Literal[0, 1, 2, 3]
    offload: Offload
    args: dict[str, Any]


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def take_deepspeed(invocation: Invocation, config: Mapping[str, Any], where: str) -> ZeroChoice:
    """Return kit's words for a DeepSpeed configuration, and note what is lost. Raises ConfigError."""
    zero = config.get("zero_optimization")
    section = dict(zero) if isinstance(zero, dict) else {}
    stage = section.get("stage", 0)
    if isinstance(stage, bool | float) or stage not in (0, 1, 2, 3):
        raise invocation.refusal(
            f"no ZeRO stage {stage!r} in {where}", "there are 0 to 3", f"correct {where}"
        )
    offload = _offload(invocation, section, stage)
    becomes = f"zero: {stage}" + (f", offload: {offload}" if offload != "none" else "")
    invocation.changes.renamed(f"deepspeed: {where}", becomes, "kit writes the JSON itself")
    args: dict[str, Any] = {}
    job = TrainJob(
        kind="train",
        model="m",
        datasets=("d",),
        hosts=("h",),
        zero=stage,
        offload=offload,
        template="default",
    )
    ours = dict(_flat(json.loads(deepspeed_json(job))))
    for key, value in _flat(dict(config)):
        _compare(invocation, (key, value), ours, args)
    return ZeroChoice(stage, offload, args)


def _compare(
    invocation: Invocation, item: tuple[str, Any], ours: Mapping[str, Any], args: dict[str, Any]
) -> None:
    key, value = item
    if key == "zero_optimization.stage" or value == "auto" or key.startswith(_OFFLOADS):
        return
    given = f"{key}: {shown(value)} (DeepSpeed)"
    argument = _OF_TRAINER.get(key)
    if argument and not isinstance(value, dict | list):
        if value is not False:
            args[argument] = value
            invocation.changes.renamed(given, f"args.{argument}", "the Trainer fills it into kit's JSON")
    elif key not in ours:
        invocation.changes.dropped(given, "kit's JSON has no such key; DeepSpeed's default holds")
    elif ours[key] != value:
        invocation.changes.changed(given, f"{shown(ours[key])} in kit's JSON", "kit writes the file itself")


def _device(section: Mapping[str, Any], key: str) -> str:
    value = section.get(key)
    device = value.get("device", "none") if isinstance(value, dict) else "none"
    return str(device).lower()


def _offload(invocation: Invocation, section: Mapping[str, Any], stage: int) -> Offload:
    optimizer, parameters = _device(section, "offload_optimizer"), _device(section, "offload_param")
    if section.get("cpu_offload") is True and optimizer == "none":
        optimizer = "cpu"
    for key, device in (("offload_optimizer", optimizer), ("offload_param", parameters)):
        if device == "nvme":
            invocation.changes.changed(
                f"{key}: nvme (DeepSpeed)", "host memory", "kit offloads to host memory; it has no NVMe path"
            )
    if parameters != "none" and stage == _STAGE_3:
        if optimizer == "none":
            invocation.changes.changed(
                "offload_param alone (DeepSpeed)",
                "offload: all",
                "kit offloads the optimizer with the parameters",
            )
        return "all"
    if parameters != "none":
        invocation.changes.dropped(
            "offload_param (DeepSpeed)",
            f"ZeRO {stage} does not shard parameters, so there is nothing to offload",
        )
    if optimizer != "none" and stage == 0:
        invocation.changes.dropped(
            "offload_optimizer (DeepSpeed)", "without a ZeRO stage nothing is offloaded"
        )
        return "none"
    return "optimizer" if optimizer != "none" else "none"
