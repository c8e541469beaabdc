"""LLaMA-Factory's arguments for a training: a train job. Pure.

Arguments and defaults: LLaMA-Factory 0.9.3, `hparams/`, and transformers' TrainingArguments.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kit.importing.change import shown
from kit.importing.chat_template import template_of
from kit.importing.dataset_list import take_datasets
from kit.importing.deepspeed_file import take_deepspeed
from kit.importing.draft import Draft, ModelPlace
from kit.importing.environment import take_environment, uses_modelscope
from kit.jobs.arguments import is_on, plain_value
from kit.jobs.monitors import SWANLAB, TRACKERS
from kit.jobs.train_arguments import OWNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.importing.draft import Invocation

_DEFAULTS: dict[str, Any] = {
    # Where kit's own default is another: what the user did not say stays what it was.
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "learning_rate": 5e-05,
    "lr_scheduler_type": "linear",
}
_HALF = ("bf16", "fp16", "pure_bf16")
_MEANT: dict[str, str] = {
    # What would come out is another thing without these, so nothing is written in their place.
    "adapter_name_or_path": "a training goes on from an adapter, and kit mounts none",
    "ref_model": "a training compares with a reference model of its own, and kit mounts no second model",
}
_PATHS = {
    "media_dir": "kit carries one file a dataset; pictures and sounds beside it do not travel",
    "image_dir": "kit carries one file a dataset; pictures beside it do not travel",
    "cache_dir": "caches lie in the run's folder",
    "config_dir": "kit mounts no folder but models and datasets",
    "hf_hub_token": "a secret does not belong into kit.yaml",
    "ms_hub_token": "a secret does not belong into kit.yaml",
    "om_hub_token": "a secret does not belong into kit.yaml",
    "hub_token": "a secret does not belong into kit.yaml",
}
_VARIABLES = {"FORCE_TORCHRUN": "", "DISABLE_VERSION_CHECK": ""}
_PACKAGES = {
    # Argument that is switched on → what the train image needs for it
    "enable_liger_kernel": ("liger-kernel==0.5.10",),
    "use_galore": ("galore-torch==1.0",),
    "use_apollo": ("apollo-torch==1.0.3",),
    "use_badam": ("badam==1.2.2",),
    "use_adam_mini": ("adam-mini==1.1.1",),
}
_BITSANDBYTES = "bitsandbytes==0.45.5"


def train_draft(invocation: Invocation, args: dict[str, Any]) -> Draft:
    """Return the train job of LLaMA-Factory's arguments. Raises ConfigError for what kit cannot do yet."""
    implied = {
        key: value
        for key, value in invocation.args.items()
        if key not in _HALF or not set(_HALF) & args.keys()
    }
    args = {**implied, **args}
    _refuse(invocation, args)
    changes = invocation.changes
    for key in [key for key, value in args.items() if value is None]:
        changes.dropped(f"{key}: null", "it says nothing")
        del args[key]
    made_at = str(args.get("output_dir", ""))
    model, judge = take_model(invocation, args), _take_judge(args)
    datasets = take_datasets(invocation, args)
    body: dict[str, Any] = {"template": take_template(invocation, args, model)}
    _zero(invocation, args, body)
    _drop(invocation, args)
    _reports(invocation, args)
    _keep_defaults(invocation, args)
    env = take_environment(invocation)
    if invocation.port is not None:
        body["port"] = invocation.port
    if env:
        body["env"] = env
    told = {line.becomes.partition(":")[0] for line in changes.lines}
    for key, value in args.items():
        if f"args.{key}" not in told:
            changes.taken(f"{key}: {shown(value)}", f"args.{key}")
    body["args"] = _with_defaults(args)
    pins = packages_of(args)
    return Draft(invocation, "train", body, model, datasets, made_at=made_at, judge=judge, packages=pins)


def _take_judge(args: dict[str, Any]) -> str:
    """Return where PPO's reward model is, and take it out of the arguments; one that is served stays."""
    if args.get("stage") != "ppo" or args.get("reward_model_type") == "api":
        return ""
    args.pop("reward_model_type", None)
    return str(args.pop("reward_model", None) or "")


def _refuse(invocation: Invocation, args: dict[str, Any]) -> None:
    if is_on(args.get("do_predict")) and not is_on(args.get("do_train")):
        raise invocation.refusal(
            "prediction alone is not imported",
            "kit asks a served model for it",
            "import the training, and write a serve job and an infer or eval job that asks through it",
        )
    for key, why in _MEANT.items():
        if args.get(key):
            raise invocation.refusal(f"{key} is not imported", why, f"train without {key}, on a merged model")
    if args.get("resume_from_checkpoint") not in (None, False, "false"):
        raise invocation.refusal(
            "a training that goes on from a checkpoint is not imported",
            "kit goes on from checkpoints of its own runs: kit up JOB --resume",
            "remove resume_from_checkpoint, and begin the training anew",
        )


def take_model(invocation: Invocation, args: dict[str, Any]) -> ModelPlace:
    """Return the model that the arguments name, and take it out of them. Raises ConfigError for none."""
    name = str(args.pop("model_name_or_path", "") or "")
    if not name:
        raise invocation.refusal("no model", "model_name_or_path names it", "write it into the arguments")
    revision = str(args.pop("model_revision", "") or "")
    invocation.changes.renamed(f"model_name_or_path: {name}", "model", "kit ships it, and the job names it")
    return ModelPlace(
        invocation.on_host(name), "" if revision == "main" else revision, uses_modelscope(invocation)
    )


def take_template(invocation: Invocation, args: dict[str, Any], model: ModelPlace) -> str:
    """Return the chat template, given or by the model's name, and take it out of the arguments."""
    given = args.pop("template", None)
    if given:
        invocation.changes.taken(f"template: {given}", "template")
        return str(given)
    found = template_of(model.name)
    invocation.changes.added(f"template: {found}", "none was said; this one goes with the model's name")
    return found


def _zero(invocation: Invocation, args: dict[str, Any], body: dict[str, Any]) -> None:
    given = args.pop("deepspeed", None)
    if given is None:
        body["zero"] = None
        invocation.changes.added("zero: null", "no DeepSpeed was asked for; kit's default would be stage 2")
        return
    where, config = "inline", given
    if isinstance(given, str) and not given.lstrip().startswith("{"):
        where = given
        config = _deepspeed_document(invocation, given, invocation.text_of(given))
    elif isinstance(given, str):
        config = _deepspeed_document(invocation, where, given)
    if not isinstance(config, dict):
        raise invocation.refusal(
            f"deepspeed: {shown(config)} is no configuration", "a file is named here", "name one"
        )
    choice = take_deepspeed(invocation, config, where)
    body["zero"], body["offload"] = choice.zero, choice.offload
    for key, value in choice.args.items():
        args.setdefault(key, value)


def _deepspeed_document(invocation: Invocation, where: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return _by_name(invocation, where)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invocation.refusal(f"{where} is no JSON", str(error), f"correct {where}") from error
    if not isinstance(document, dict):
        raise invocation.refusal(
            f"{where} is no DeepSpeed configuration", "it is no mapping", f"correct {where}"
        )
    return document


def _by_name(invocation: Invocation, path: str) -> dict[str, Any]:
    """Return what one of LLaMA-Factory's own example files says, which is told by its name."""
    name = path.rpartition("/")[2]
    for stage in (0, 1, 2, 3):
        if name in (f"ds_z{stage}_config.json", f"ds_z{stage}_offload_config.json"):
            zero: dict[str, Any] = {"stage": stage}
            if "offload" in name:
                zero["offload_optimizer"] = {"device": "cpu"}
                zero |= {"offload_param": {"device": "cpu"}} if stage == 3 else {}  # noqa: PLR2004
            invocation.changes.added(
                f"what {name} says", "the file is not here; its name is that of an example"
            )
            return {"zero_optimization": zero}
    raise invocation.refusal(
        f"{path} cannot be read", "stage and offloading stand in it", "run kit import where it is"
    )


def _drop(invocation: Invocation, args: dict[str, Any]) -> None:
    for key in list(args):
        reason = OWNED.get(key) or _PATHS.get(key)
        if reason:
            secret = key.endswith("token")
            given = f"{key}: …" if secret else f"{key}: {shown(args[key])}"
            invocation.changes.dropped(given, reason)
            del args[key]


def _reports(invocation: Invocation, args: dict[str, Any]) -> None:
    changes = invocation.changes
    wanted = args.get("report_to", "none")
    reports = [str(item) for item in (wanted if isinstance(wanted, list) else [wanted])]
    kept = [report for report in reports if report in ("none", *TRACKERS)]
    for key in [key for key in args if key.startswith(("use_swanlab", "swanlab_"))]:
        if key == "use_swanlab" and is_on(args[key]) and SWANLAB not in kept:
            kept.append(SWANLAB)
        changes.dropped(
            f"{key}: {'…' if 'key' in key else shown(args[key])}", "report_to: swanlab writes offline"
        )
        del args[key]
    kept = [report for report in kept if report != "none"] or ["none"]
    if kept == reports or (kept == ["none"] and "report_to" not in args):
        return
    args["report_to"] = kept if len(kept) > 1 else kept[0]
    why = "other trackers call servers outside"
    changes.changed(f"report_to: {shown(wanted)}", f"args.report_to: {shown(args['report_to'])}", why)


def _keep_defaults(invocation: Invocation, args: dict[str, Any]) -> None:
    for key, value in _DEFAULTS.items():
        if key not in args:
            invocation.changes.added(
                f"args.{key}: {shown(value)}", "LLaMA-Factory's default; kit's is another"
            )
    if not set(_HALF) & args.keys():
        invocation.changes.added(
            "args.bf16: false", "neither bf16 nor fp16 was said; kit's default is bf16 on GPUs"
        )


def _with_defaults(args: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in _DEFAULTS.items() if key not in args}
    if not set(_HALF) & args.keys():
        found["bf16"] = False
    # YAML 1.1 reads 1e-4 as a text, and everybody means the number.
    return {key: plain_value(value, f"args.{key}") for key, value in args.items()} | found


def packages_of(args: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the packages that arguments need and the stack's train image lacks, each pinned."""
    found = [pin for key, pins in _PACKAGES.items() if is_on(args.get(key)) for pin in pins]
    bits = args.get("quantization_bit") and args.get("quantization_method", "bnb") in ("bnb", "bitsandbytes")
    if bits or args.get("optim") in ("adamw_8bit", "paged_adamw_8bit", "adamw_bnb_8bit", "paged_adamw_32bit"):
        found.append(_BITSANDBYTES)
    return tuple(found)
