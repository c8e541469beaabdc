"""What LLaMA-Factory, or the trainer below it, would refuse once the job runs."""

from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError
from kit.jobs.check_arguments import argument_errors
from kit.jobs.train_combinations import CLASHES, Asked, check_combinations
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import document, gpu_document

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"quantization_bit": 4, "finetuning_type": "full"}, "quantization_bit"),
    ({"quantization_bit": 4, "finetuning_type": "freeze"}, "quantization_bit"),
    ({"quantization_bit": 4, "resize_vocab": True}, "resize_vocab"),
    ({"quantization_bit": 4, "pissa_init": True}, "pissa_init"),
    ({"quantization_device_map": "auto"}, "quantization_device_map"),
    ({"quantization_bit": 4, "fp8": True}, "fp8"),
    ({"bf16": True, "fp16": True}, "fp16"),
    ({"predict_with_generate": True, "val_size": 0.1, "compute_accuracy": True}, "predict_with_generate"),
    ({"do_predict": True, "val_size": 0.1}, "do_predict"),
    ({"stage": "dpo", "predict_with_generate": True, "val_size": 0.1}, "predict_with_generate"),
    ({"stage": "pt", "neat_packing": True}, "neat_packing"),
    ({"stage": "kto", "train_on_prompt": True}, "train_on_prompt"),
    ({"stage": "rm", "mask_history": True}, "mask_history"),
    ({"mask_history": True, "train_on_prompt": True}, "mask_history"),
    (
        {"stage": "rm", "load_best_model_at_end": True, "eval_strategy": "steps", "val_size": 0.1},
        "load_best_model_at_end",
    ),
    ({"load_best_model_at_end": True}, "load_best_model_at_end"),
    ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type"),
    ({"eval_strategy": "steps"}, "eval_strategy"),
    ({"do_eval": True}, "do_eval"),
    ({"predict_with_generate": True}, "predict_with_generate"),
    ({"streaming": True}, "streaming"),
    ({"streaming": True, "max_steps": 10, "max_samples": 10}, "max_samples"),
    ({"streaming": True, "max_steps": 10, "val_size": 0.1}, "val_size"),
    ({"interleave_probs": "0.5,0.5"}, "interleave_probs"),
    ({"use_galore": True}, "use_galore"),
    ({"use_apollo": True, "finetuning_type": "lora"}, "use_apollo"),
    ({"use_badam": True}, "use_badam"),
    ({"use_galore": True, "use_apollo": True, "finetuning_type": "full"}, "use_galore"),
    ({"galore_layerwise": True}, "galore_layerwise"),
    ({"apollo_layerwise": True}, "apollo_layerwise"),
    ({"use_badam": True, "badam_mode": "ratio", "finetuning_type": "full"}, "badam_mode"),
    ({"use_badam": True, "finetuning_type": "full"}, "use_badam"),
    ({"use_llama_pro": True, "finetuning_type": "full"}, "use_llama_pro"),
    ({"loraplus_lr_ratio": 16.0, "finetuning_type": "full"}, "loraplus_lr_ratio"),
    ({"use_rslora": True, "finetuning_type": "full"}, "use_rslora"),
    ({"use_dora": True, "finetuning_type": "freeze"}, "use_dora"),
    ({"pissa_init": True, "finetuning_type": "full"}, "pissa_init"),
    ({"pissa_init": True, "stage": "dpo"}, "pissa_init"),
    ({"stage": "dpo", "pref_loss": "ipo", "dpo_label_smoothing": 0.1}, "dpo_label_smoothing"),
    ({"stage": "ppo"}, "stage"),
]
ALLOWED: list[dict[str, Any]] = [
    {},
    {"quantization_bit": 4, "finetuning_type": "lora", "use_dora": True, "use_rslora": True},
    {"stage": "sft", "neat_packing": True, "mask_history": True},
    {"eval_strategy": "steps", "val_size": 0.1, "load_best_model_at_end": True},
    {"load_best_model_at_end": True, "save_strategy": "best", "eval_strategy": "epoch", "val_size": 20},
    {"predict_with_generate": True, "do_predict": True, "val_size": 0.1},
    {"streaming": True, "max_steps": 100, "val_size": 50},
    {"interleave_probs": "0.5,0.5", "mix_strategy": "interleave_under"},
    {"use_galore": True, "finetuning_type": "full"},
    {"use_badam": False, "galore_layerwise": False, "fp16": True, "bf16": False},
    {"stage": "dpo", "pref_loss": "orpo", "pissa_init": True},
    {"stage": "dpo", "dpo_label_smoothing": 0.1},
    {"use_llama_pro": True, "finetuning_type": "freeze"},
]


def asked(args: dict[str, Any], version: str = "0.9.5", zero: int | None = None) -> Asked:
    return Asked(args, zero, version)


@pytest.mark.parametrize(("args", "argument"), REFUSED)
def test_what_excludes_each_other_is_refused(args: dict[str, Any], argument: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_combinations("train", asked(args))
    assert caught.value.where == f"jobs.train.args.{argument}"
    assert caught.value.why
    assert caught.value.fix


@pytest.mark.parametrize("args", ALLOWED)
def test_what_goes_together_passes(args: dict[str, Any]) -> None:
    check_combinations("train", asked(args))


PPO = {"stage": "ppo", "reward_model": "http://a", "reward_model_type": "api"}
REFUSED_PPO = [
    ({**PPO, "shift_attn": True}, "shift_attn"),
    ({**PPO, "reward_model_type": "lora"}, "reward_model"),
    ({**PPO, "val_size": 0.1}, "val_size"),
]


def test_ppo_is_for_the_release_whose_trl_has_it() -> None:
    check_combinations("train", asked(PPO, version="0.9.3"))
    with pytest.raises(ConfigError, match=r"trl 0\.9\.6"):
        check_combinations("train", asked(PPO, version="0.9.5"))


def test_ppo_asks_a_reward_model() -> None:
    with pytest.raises(ConfigError, match="none is named"):
        check_combinations("train", asked({"stage": "ppo"}, version="0.9.3"))
    check_combinations("train", Asked({"stage": "ppo"}, None, "0.9.3", rewarded=True))


@pytest.mark.parametrize(("args", "argument"), REFUSED_PPO)
def test_what_ppo_cannot_have_is_refused(args: dict[str, Any], argument: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_combinations("train", asked(args, version="0.9.3"))
    assert caught.value.where == f"jobs.train.args.{argument}"


def test_every_clash_is_shown_here() -> None:
    assert {argument for _, argument in [*REFUSED, *REFUSED_PPO]} >= {clash.argument for clash in CLASHES} - {
        "eval_strategy"
    }


def test_layerwise_badam_needs_zero_3() -> None:
    badam = {"use_badam": True, "finetuning_type": "full"}
    check_combinations("train", asked(badam, zero=3))
    with pytest.raises(ConfigError, match="use_badam"):
        check_combinations("train", asked(badam, zero=2))


def test_generating_predictions_needs_a_newer_llamafactory() -> None:
    predicting = {"predict_with_generate": True, "val_size": 0.1}
    check_combinations("train", asked(predicting))
    with pytest.raises(ConfigError, match="predict_with_generate"):
        check_combinations("train", asked(predicting, version="0.9.3"))


def test_a_job_is_held_against_them_after_its_names_and_types() -> None:
    args = {"quantization_bit": 4, "finetuning_type": "full"}
    (found,) = argument_errors(parse_project(gpu_document({"args": args})), "train")
    assert found.where == "jobs.train.args.quantization_bit"
    (first,) = argument_errors(parse_project(gpu_document({"args": {**args, "fp17": True}})), "train")
    assert first.where == "jobs.train.args.fp17"
    assert (
        argument_errors(parse_project(document({"args": {"val_size": 0.1, "do_eval": True}})), "train") == ()
    )
