"""Arguments that LLaMA-Factory, or the trainer below it, refuses together once it runs. Pure.

Sources: hparams/parser.py, finetuning_args.py and data_args.py of LLaMA-Factory 0.9.3 and 0.9.5, and
training_args.py of transformers 4.52.4 and 5.6.0. What needs a package, and what DeepSpeed's stages refuse,
stands in images/rules.yaml and kit/jobs/train_arguments.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kit.errors import ConfigError
from kit.jobs.arguments import is_on
from kit.jobs.versions import release

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ZERO_3 = 3
_ADAPTERS = ("lora", "oft")
_OPTIMIZERS = ("use_galore", "use_apollo", "use_badam")
_DEFAULTS = {
    "stage": "sft",
    "finetuning_type": "lora",
    "mix_strategy": "concat",
    "badam_mode": "layer",
    "pref_loss": "sigmoid",
}
_NO_SHARE = 1e-6
"""LLaMA-Factory takes a smaller val_size for none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a train job asks for."""

    args: Mapping[str, Any]
    zero: int | None
    version: str
    """LLaMA-Factory's."""
    rewarded: bool = False
    """`reward` of the job names a reward model."""

    def on(self, name: str) -> bool:
        """Return whether an argument is switched on."""
        return is_on(self.args.get(name))

    def of(self, name: str, *values: str) -> bool:
        """Return whether an argument has one of these values, LLaMA-Factory's default counted."""
        return self.args.get(name, _DEFAULTS.get(name)) in values

    @property
    def quantised(self) -> bool:
        """Whether the model is quantised while it is loaded."""
        return bool(self.args.get("quantization_bit"))

    @property
    def holds_out(self) -> bool:
        """Whether a part of the data is kept for evaluation."""
        size = self.args.get("val_size", 0)
        return not isinstance(size, int | float) or size > _NO_SHARE

    @property
    def evaluates(self) -> bool:
        """Whether something asks for data to evaluate on."""
        return self.of("eval_strategy", "steps", "epoch") or self.on("do_eval") or self.on("do_predict")


class Clash(NamedTuple):
    """Something that ends a training, told by one of its arguments."""

    argument: str
    happens: Callable[[Asked], bool]
    why: str
    fix: str


def _only_sft(argument: str) -> Clash:
    return Clash(
        argument,
        lambda asked: asked.on(argument) and not asked.of("stage", "sft"),
        "LLaMA-Factory knows it in stage sft only",
        f"remove {argument}, or stage: sft",
    )


def _only_lora(argument: str) -> Clash:
    return Clash(
        argument,
        lambda asked: bool(asked.args.get(argument)) and not asked.of("finetuning_type", "lora"),
        "it is for LoRA only",
        f"finetuning_type: lora, or remove {argument}",
    )


def _not_beside_lora(argument: str) -> Clash:
    return Clash(
        argument,
        lambda asked: asked.on(argument) and asked.of("finetuning_type", "lora"),
        "LLaMA-Factory refuses it together with LoRA, which is the default",
        "finetuning_type: full, or freeze",
    )


def _layerwise(argument: str) -> Clash:
    return Clash(
        argument,
        lambda asked: asked.on(argument),
        "kit launches with torchrun, and distributed training does not support it",
        f"remove {argument}",
    )


CLASHES = (
    Clash(
        "quantization_bit",
        lambda asked: asked.quantised and not asked.of("finetuning_type", *_ADAPTERS),
        "the weights of a quantised model cannot be trained, only an adapter beside them",
        "finetuning_type: lora, or remove quantization_bit",
    ),
    Clash(
        "resize_vocab",
        lambda asked: asked.quantised and asked.on("resize_vocab"),
        "the embedding of a quantised model cannot be resized",
        "remove resize_vocab or quantization_bit",
    ),
    Clash(
        "pissa_init",
        lambda asked: asked.quantised and asked.on("pissa_init"),
        "PiSSA cannot start from quantised weights",
        "remove pissa_init or quantization_bit",
    ),
    Clash(
        "quantization_device_map",
        lambda asked: asked.of("quantization_device_map", "auto"),
        "it is for inference; in a training each rank has its own GPU",
        "remove quantization_device_map",
    ),
    Clash(
        "fp8",
        lambda asked: asked.quantised and asked.on("fp8"),
        "FP8 training and quantised weights exclude each other",
        "remove fp8 or quantization_bit",
    ),
    Clash(
        "fp16",
        lambda asked: asked.on("fp16") and asked.on("bf16"),
        "at most one of fp16 and bf16 may be on",
        "remove fp16 or bf16",
    ),
    Clash(
        "predict_with_generate",
        lambda asked: asked.on("predict_with_generate") and release(asked.version) < (0, 9, 4),
        "this LLaMA-Factory wants an eval_dataset for it, and only the job's datasets are there",
        "remove it, and ask the tuned model through a serve job",
    ),
    Clash(
        "predict_with_generate",
        lambda asked: asked.on("predict_with_generate") and asked.on("compute_accuracy"),
        "it excludes compute_accuracy",
        "remove one of them",
    ),
    Clash(
        "do_predict",
        lambda asked: (
            asked.on("do_predict") and asked.of("stage", "sft") and not asked.on("predict_with_generate")
        ),
        "in stage sft predictions are generated",
        "predict_with_generate: true, or remove do_predict",
    ),
    *(
        _only_sft(name)
        for name in ("predict_with_generate", "neat_packing", "train_on_prompt", "mask_history")
    ),
    Clash(
        "mask_history",
        lambda asked: asked.on("mask_history") and asked.on("train_on_prompt"),
        "it excludes train_on_prompt",
        "remove one of them",
    ),
    Clash(
        "load_best_model_at_end",
        lambda asked: asked.on("load_best_model_at_end") and asked.of("stage", "rm", "ppo"),
        "stages rm and ppo do not support it",
        "remove load_best_model_at_end",
    ),
    Clash(
        "load_best_model_at_end",
        lambda asked: (
            asked.on("load_best_model_at_end")
            and not asked.of("save_strategy", "best")
            and asked.args.get("eval_strategy", "no") != asked.args.get("save_strategy", "steps")
        ),
        "it needs evaluations at the same moments as checkpoints",
        "eval_strategy: steps and val_size: 0.1",
    ),
    Clash(
        "lr_scheduler_type",
        lambda asked: (
            asked.of("lr_scheduler_type", "reduce_lr_on_plateau")
            and not asked.of("eval_strategy", "steps", "epoch")
        ),
        "it follows the loss of evaluations, and there are none",
        "eval_strategy: steps and val_size: 0.1",
    ),
    Clash(
        "eval_strategy",
        lambda asked: (asked.evaluates or asked.on("predict_with_generate")) and not asked.holds_out,
        "there is nothing to evaluate on: only the job's datasets are there",
        "val_size: 0.1 holds out a tenth of them",
    ),
    Clash(
        "streaming",
        lambda asked: asked.on("streaming") and asked.args.get("max_steps", -1) in (-1, None),
        "nobody knows how long a streamed dataset is",
        "max_steps: 1000, or as many as are wanted",
    ),
    Clash(
        "max_samples",
        lambda asked: asked.on("streaming") and asked.args.get("max_samples") is not None,
        "a streamed dataset cannot be cut",
        "remove max_samples or streaming",
    ),
    Clash(
        "val_size",
        lambda asked: asked.on("streaming") and _NO_SHARE < _number(asked.args.get("val_size", 0)) < 1,
        "of a streamed dataset only a number of samples can be held out, not a share",
        "val_size: 100, or remove streaming",
    ),
    Clash(
        "interleave_probs",
        lambda asked: bool(asked.args.get("interleave_probs")) and asked.of("mix_strategy", "concat"),
        "it is for interleaved mixing only",
        "mix_strategy: interleave_under",
    ),
    *(_not_beside_lora(name) for name in _OPTIMIZERS),
    Clash(
        "use_galore",
        lambda asked: sum(asked.on(name) for name in _OPTIMIZERS) > 1,
        "at most one of use_galore, use_apollo and use_badam may be on",
        "keep one of them",
    ),
    _layerwise("galore_layerwise"),
    _layerwise("apollo_layerwise"),
    Clash(
        "badam_mode",
        lambda asked: asked.on("use_badam") and asked.of("badam_mode", "ratio"),
        "kit launches with torchrun, and distributed training does not support it",
        "badam_mode: layer, with zero: 3",
    ),
    Clash(
        "use_badam",
        lambda asked: asked.on("use_badam") and asked.zero != _ZERO_3,
        "launched with torchrun, layer-wise BAdam needs ZeRO-3",
        "zero: 3",
    ),
    Clash(
        "use_llama_pro",
        lambda asked: asked.on("use_llama_pro") and asked.of("finetuning_type", "full"),
        "it is for freeze and LoRA only",
        "finetuning_type: freeze, or remove use_llama_pro",
    ),
    *(_only_lora(name) for name in ("loraplus_lr_ratio", "use_rslora", "use_dora", "pissa_init")),
    Clash(
        "pissa_init",
        lambda asked: (
            asked.on("pissa_init")
            and (
                asked.of("stage", "ppo", "kto")
                or (asked.of("stage", "dpo") and not asked.of("pref_loss", "orpo", "simpo"))
            )
        ),
        "this stage compares with the model before training, which PiSSA changes",
        "remove pissa_init",
    ),
    Clash(
        "dpo_label_smoothing",
        lambda asked: (
            asked.of("stage", "dpo")
            and not asked.of("pref_loss", "sigmoid")
            and _number(asked.args.get("dpo_label_smoothing", 0)) > _NO_SHARE
        ),
        "it is for pref_loss: sigmoid only",
        "remove dpo_label_smoothing",
    ),
    Clash(
        "stage",
        lambda asked: asked.of("stage", "ppo") and release(asked.version) >= (0, 9, 4),
        "its PPO asks for trl 0.9.6 or older, and the rest of this LLaMA-Factory for a newer one",
        "stage: dpo, or stack: cu126",
    ),
    Clash(
        "stage",
        lambda asked: asked.of("stage", "ppo") and not asked.rewarded and not asked.args.get("reward_model"),
        "PPO asks a reward model, and none is named",
        "reward: JOB beside args, a train job of stage rm; or reward_model: ADDRESS, reward_model_type: api",
    ),
    Clash(
        "reward_model",
        lambda asked: (
            asked.of("stage", "ppo") and not asked.rewarded and not asked.of("reward_model_type", "api")
        ),
        "it is a second model, and kit mounts what a train job made",
        "reward: JOB beside args, a train job of stage rm; or ADDRESS of one that is served, as type api",
    ),
    Clash(
        "val_size",
        lambda asked: asked.of("stage", "ppo") and asked.holds_out,
        "PPO evaluates nothing",
        "remove val_size",
    ),
    Clash(
        "shift_attn",
        lambda asked: asked.of("stage", "ppo") and asked.on("shift_attn"),
        "PPO does not go together with it",
        "remove shift_attn",
    ),
)
"""In the order in which they are told; the first that happens is."""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def check_combinations(name: str, asked: Asked) -> None:
    """Raise ConfigError for arguments of the job `name` that exclude each other."""
    for clash in CLASHES:
        if clash.happens(asked):
            raise ConfigError(
                f"{clash.argument} cannot be used here",
                where=f"jobs.{name}.args.{_written(clash.argument, asked)}",
                why=clash.why,
                fix=clash.fix,
            )


def _written(argument: str, asked: Asked) -> str:
    """Return the argument, or what stands for it in the job: `do_eval` asks for an evaluation as well."""
    others = ("do_eval", "do_predict", "predict_with_generate") if argument == "eval_strategy" else ()
    return next((name for name in (argument, *others) if name in asked.args), argument)
