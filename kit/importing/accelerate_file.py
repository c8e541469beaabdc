"""accelerate's config file and the options that stand for its keys. Pure.

Keys: accelerate 1.7, `commands/config/config_args.py` and `commands/launch.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from kit.importing.draft import Invocation

_HALF = {"bf16": "bf16", "fp16": "fp16"}
_SHARDING = {
    # accelerate's names and the numbers that stood for them before → the Trainer's word for `fsdp`
    "FULL_SHARD": "full_shard",
    "1": "full_shard",
    "SHARD_GRAD_OP": "shard_grad_op",
    "2": "shard_grad_op",
    "NO_SHARD": "no_shard",
    "3": "no_shard",
    "HYBRID_SHARD": "hybrid_shard",
    "4": "hybrid_shard",
    "HYBRID_SHARD_ZERO2": "hybrid_shard_zero2",
    "5": "hybrid_shard_zero2",
}
_FSDP_KEYS = {
    "fsdp_transformer_layer_cls_to_wrap": "transformer_layer_cls_to_wrap",
    "fsdp_use_orig_params": "use_orig_params",
    "fsdp_sync_module_states": "sync_module_states",
    "fsdp_cpu_ram_efficient_loading": "cpu_ram_efficient_loading",
    "fsdp_forward_prefetch": "forward_prefetch",
    "fsdp_backward_prefetch": "backward_prefetch",
    "fsdp_min_num_params": "min_num_params",
    "fsdp_state_dict_type": "state_dict_type",
    "fsdp_activation_checkpointing": "activation_checkpointing",
}
_FSDP_WORDS = ("fsdp_sharding_strategy", "fsdp_offload_params", "fsdp_auto_wrap_policy", "fsdp_config")
_TRUE = (True, "true", "True")


def take_accelerate_file(invocation: Invocation, path: str | None, given: dict[str, Any]) -> None:
    """Note hosts, GPUs, precision, DeepSpeed and FSDP of a config file, with options of the line over it.

    Raises ConfigError for a file that is named and cannot be read.
    """
    config: dict[str, Any] = {}
    if path is not None:
        text = invocation.text_of(path)
        if text is None:
            raise invocation.refusal(
                f"{path} cannot be read", "the launch depends on it", "run kit import where it is"
            )
        document = parse_yaml(text, path)
        config = dict(document) if isinstance(document, dict) else {}
        config |= _mapping(config.get("deepspeed_config"))
        config |= _mapping(config.get("fsdp_config"))
        invocation.changes.renamed(f"--config_file {path}", "hosts, port, zero, args", "kit has no such file")
    config |= given
    _machines(invocation, config)
    half = _HALF.get(str(config.get("mixed_precision", "")))
    if half:
        invocation.args[half] = True
    kind = str(config.get("distributed_type", "")).upper()
    if kind == "DEEPSPEED" or config.get("use_deepspeed") in _TRUE:
        _deepspeed(invocation, config)
    elif kind == "FSDP" or config.get("use_fsdp") in _TRUE:
        _fsdp(invocation, config)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdigit() and text.isascii() else 0


def _machines(invocation: Invocation, config: dict[str, Any]) -> None:
    machines = _count(config.get("num_machines")) or 1
    processes = _count(config.get("num_processes"))
    invocation.hosts = machines
    ids = str(config.get("gpu_ids", "all"))
    if ids not in ("all", "None", ""):
        invocation.gpus = ids.replace(" ", "")
    elif processes:
        invocation.gpus = max(processes // machines, 1)
    invocation.port = _count(config.get("main_process_port")) or invocation.port
    address = str(config.get("main_process_ip") or "")
    if address not in ("", "localhost", "127.0.0.1", "null"):
        invocation.address = address


def _deepspeed(invocation: Invocation, config: dict[str, Any]) -> None:
    if config.get("deepspeed_config_file"):
        invocation.args["deepspeed"] = str(config["deepspeed_config_file"])
        return
    stage = _count(config.get("zero_stage", 2))
    zero: dict[str, Any] = {"stage": stage}
    for place, key in (("optimizer", "offload_optimizer"), ("param", "offload_param")):
        device = str(config.get(f"offload_{place}_device", "none"))
        if device not in ("none", "None"):
            zero[key] = {"device": device}
    invocation.args["deepspeed"] = {"zero_optimization": zero}
    for key, argument in (
        ("gradient_accumulation_steps", "gradient_accumulation_steps"),
        ("gradient_clipping", "max_grad_norm"),
    ):
        if isinstance(config.get(key), int | float):
            invocation.args[argument] = config[key]


def _fsdp(invocation: Invocation, config: dict[str, Any]) -> None:
    strategy = _SHARDING.get(str(config.get("fsdp_sharding_strategy", "FULL_SHARD")).upper(), "full_shard")
    words = [strategy]
    if config.get("fsdp_offload_params") in _TRUE:
        words.append("offload")
    if config.get("fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP") != "NO_WRAP":
        words.append("auto_wrap")
    invocation.args["fsdp"] = " ".join(words)
    found = {name: config[key] for key, name in _FSDP_KEYS.items() if key in config}
    if found:
        invocation.args["fsdp_config"] = found
    for key, value in config.items():
        if key.startswith("fsdp_") and key not in _FSDP_KEYS and key not in _FSDP_WORDS:
            invocation.changes.dropped(
                f"{key}: {value} (accelerate)", "kit knows no argument of the Trainer that says it"
            )
