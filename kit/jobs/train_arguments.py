"""What a train job may say to LLaMA-Factory, and what cannot work, told before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.arguments import is_on, own_arguments
from kit.jobs.monitors import check_monitors
from kit.project.references import nearest

if TYPE_CHECKING:
    from kit.project.job_model import TrainJob

_ZERO_3 = 3
OWNED = {
    "model_name_or_path": "`model` says which model",
    "adapter_name_or_path": "a training starts from a model; kit mounts no adapter",
    "output_dir": "the run's folder on the host takes it",
    "overwrite_output_dir": "every run has a folder of its own",
    "logging_dir": "the run's folder on the host takes it",
    "resume_from_checkpoint": "kit mounts no earlier run",
    "dataset": "`datasets` lists them",
    "tokenized_path": "`tokenize_first` of the job says it; the run's folder on the host takes the tokens",
    "dataset_dir": "kit writes dataset_info.json itself",
    "eval_dataset": "only the job's `datasets` are there; val_size holds out a part of them",
    "template": "`template` of the job says it",
    "deepspeed": "`zero` and `offload` of the job say it",
    "use_cpu": "the stack says it, and with use_cpu DeepSpeed starts after the model: ZeRO-3 fails",
    "no_cuda": "the stack says it",
    "local_rank": "torchrun sets it",
    "infer_backend": "vLLM and LLaMA-Factory are two images",
    "use_unsloth": "it trains on one GPU alone, and wants another trl than the image's",
    "use_ray": "kit launches with torchrun",
    "push_to_hub": "there is no hub on the intranet",
    "hub_model_id": "there is no hub on the intranet",
    "export_dir": "a job of kind export does that",
}
_HALF = ("bf16", "fp16", "pure_bf16")


def check_template(key: str, template: str, version: str) -> None:
    """Raise ConfigError when that version of LLaMA-Factory has no such chat template, as far as kit knows."""
    listed = data_folder("templates") / "llamafactory" / f"chat-templates-{version}.txt"
    if not listed.is_file():
        return
    known = tuple(listed.read_text(encoding="utf-8").split())
    if template not in known:
        close = nearest(template, known) if len(template) > 1 else ""
        raise ConfigError(
            f"LLaMA-Factory {version} has no template {template!r}",
            where=key,
            why=close if close.startswith("did") else "",
            fix=f"choose one of {listed.name}, e.g. qwen3",
        )


def own_train_arguments(name: str, job: TrainJob, *, gpus: bool) -> dict[str, Any]:
    """Return the job's `args`, checked. Raises ConfigError naming the key and what to do."""
    args = own_arguments(name, job.args, OWNED)
    check_monitors(name, job)
    if not gpus:
        _check_cpu(name, args)
    if job.zero == _ZERO_3:
        _check_zero_3(name, args)
    if job.zero is not None:
        if args.get("fsdp"):
            _refuse(name, "fsdp", "DeepSpeed and FSDP exclude each other", f"zero: null in jobs.{name}")
        for optimizer in ("use_galore", "use_apollo"):
            if is_on(args.get(optimizer)):
                _refuse(name, optimizer, "does not work under DeepSpeed", f"zero: null in jobs.{name}")
    return args


def _refuse(name: str, argument: str, why: str, fix: str) -> None:
    raise ConfigError(
        f"{argument} cannot be used here", where=f"jobs.{name}.args.{argument}", why=why, fix=fix
    )


def _check_cpu(name: str, args: dict[str, Any]) -> None:
    for argument in _HALF:
        if is_on(args.get(argument)):
            _refuse(name, argument, "stack cpu trains in float32", f"remove jobs.{name}.args.{argument}")
    if args.get("quantization_bit"):
        _refuse(name, "quantization_bit", "quantised training needs a GPU", "stack: cu126")
    if args.get("fsdp"):
        # accelerate's state knows FSDP for GPUs and their like alone, and goes on with plain DDP.
        _refuse(name, "fsdp", "without GPUs accelerate would shard nothing and not say so", "zero: 3, or DDP")


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return {part.strip() for part in value.split(",")}
    return set(value) if isinstance(value, list) else set()


def _check_zero_3(name: str, args: dict[str, Any]) -> None:
    fix = f"zero: 2 in jobs.{name}, or without it"
    for argument in ("predict_with_generate", "pure_bf16", "pissa_init", "use_kt"):
        if is_on(args.get(argument)):
            _refuse(name, argument, "LLaMA-Factory refuses it under ZeRO-3", fix)
    # PEFT's wrapper passes attributes through to the layer it wraps, and DeepSpeed's hooks then count on the
    # wrong one (DeepSpeed #7615): "'Linear' object has no attribute 'ds_grads_remaining'" at the first step.
    if "lm_head" in _names(args.get("additional_target")):
        _refuse(name, "additional_target", "training lm_head beside an adapter dies under ZeRO-3", fix)
    bits, method = args.get("quantization_bit"), args.get("quantization_method", "bnb")
    if bits and (bits != 4 or method not in ("bnb", "bitsandbytes")):  # noqa: PLR2004
        _refuse(name, "quantization_bit", "ZeRO-3 takes 4-bit bitsandbytes only", fix)
