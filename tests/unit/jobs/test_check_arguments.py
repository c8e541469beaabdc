from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.jobs.argument_table import load_table
from kit.jobs.check_arguments import argument_errors, check_arguments, unchecked
from kit.jobs.job_rules import check_job
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.run.check_hosts import job_findings
from kit.workflow.lock_project import make_lock
from tests.unit.jobs.launch_factories import document, gpu_document, launch_of, words_of


def errors(made: dict[str, Any], job: str = "train") -> tuple[ConfigError, ...]:
    return argument_errors(parse_project(made), job)


def said(made: dict[str, Any], job: str = "train") -> str:
    found = errors(made, job)
    assert found, "nothing was refused"
    assert found[0].exit_code == 2
    assert found[0].fix
    return str(found[0])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"lora_rnk": 8}, "LLaMA-Factory 0.9.5 with transformers 5.6.0 has no argument 'lora_rnk'"),
        ({"lora_rnk": 8}, "did you mean 'lora_rank'?"),
        ({"lora-rank": 8}, "write lora_rank, or remove jobs.train.args.lora-rank"),
        ({"xyzzy": 8}, "to mend it: remove jobs.train.args.xyzzy"),
        ({"group_by_length": True}, "has no argument 'group_by_length'"),  # gone from transformers 5
        ({"lora_rank": "8"}, "write a whole number, without quotes"),
        ({"max_steps": 1e3}, "write 1000"),
        ({"lora_dropout": "much"}, "it takes a number"),
        ({"packing": "false"}, "'false' is not what it takes (it takes true or false or null)"),
        ({"do_train": None}, "null is not what it takes"),
        ({"run_name": 2024}, "put it in quotes: run_name: '2024'"),
        ({"eval_strategy": False}, "one of 'no', steps, epoch"),
        ({"eval_strategy": False}, "YAML reads a bare no"),
        ({"lr_scheduler_type": "cosin"}, "did you mean 'cosine'?"),
        ({"finetuning_type": "qlora"}, "one of lora, oft, freeze, full"),
        ({"add_tokens": ["<a>"]}, "it takes text or null"),
    ],
)
def test_a_wrong_name_type_or_choice_is_refused_with_what_is_right(args: dict[str, Any], told: str) -> None:
    found = said(document({"args": args}))
    assert told in found
    assert f"jobs.train.args.{next(iter(args))}" in found


@pytest.mark.parametrize(
    "args",
    [
        {"learning_rate": "1e-4"},
        {"num_train_epochs": 3, "warmup_steps": 10},
        {"lora_target": ["q_proj", "v_proj"]},
        {"lora_target": "all", "max_samples": None},
        {"lr_scheduler_kwargs": {"min_lr": 1e-6}, "lr_scheduler_type": "cosine_with_min_lr"},
        {"report_to": ["none"], "overwrite_cache": 1},
    ],
)
def test_what_the_program_takes_passes(args: dict[str, Any]) -> None:
    assert errors(document({"args": args})) == ()


def test_an_export_is_told_what_only_a_training_takes() -> None:
    found = said(document({"args": {"learning_rate": 1e-4}}, name="merge"), "merge")
    assert "takes 'ray_num_workers' in a train job only" in said(
        document({"args": {"ray_num_workers": 1}}, name="merge"), "merge"
    )
    assert "has no argument 'learning_rate'" in found
    assert (
        errors(document({"args": {"export_size": 5, "infer_dtype": "float32"}}, name="merge"), "merge") == ()
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"template": "qwen3"}, "vLLM 0.8.5.post1 has no flag --template"),
        ({"max_num_seq": 8}, "did you mean 'max_num_seqs'?"),
        ({"max-num-seq": 8}, "did you mean 'max-num-seqs'?"),
        ({"max_num_seqs": "eight"}, "it takes a whole number"),
        ({"max_num_seqs": True}, "true is not what it takes"),
        ({"swap_space": [1]}, "it takes a number"),
        ({"quantization": "awk"}, "did you mean 'awq'?"),
        ({"enforce_eager": False}, "cannot be switched off"),
        ({"enforce_eager": "yes"}, "write enforce-eager: true"),
        ({"block_size": 24}, "one of 1, 8, 16, 32, 64, 128"),
        ({"rope_scaling": 3}, "a mapping or list"),
    ],
)
def test_a_wrong_flag_is_refused_with_what_is_right(args: dict[str, Any], told: str) -> None:
    assert told in said(gpu_document({"args": args}, name="serve"), "serve")


@pytest.mark.parametrize(
    "args",
    [
        {"max_num_seqs": "8", "swap-space": 4, "enable_chunked_prefill": False, "seed": None},
        {"no_enable_prefix_caching": True, "lora_modules": ["a=/kit/a", {"name": "b", "path": "/kit/b"}]},
        {"compilation_config": 3, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
        {"hf_token": True, "revision": 1.0, "allowed_origins": ["*"], "enable_lora": True},
    ],
)
def test_flags_that_the_engine_takes_pass(args: dict[str, Any]) -> None:
    assert errors(gpu_document({"args": args}, name="serve"), "serve") == ()


def test_lists_are_written_as_the_flag_takes_them() -> None:
    args = {
        "allowed_origins": ["http://a", "http://b"],
        "middleware": ["a.b", "c.d"],
        "lora_modules": ["a=/kit/a", {"name": "b", "path": "/kit/b"}],
    }
    words = words_of(launch_of(document({"args": args}, name="serve"), "serve").hosts[0])
    assert '--allowed-origins=["http://a", "http://b"]' in words
    assert {"--middleware=a.b", "--middleware=c.d"} <= set(words)
    at = words.index("--lora-modules")
    assert words[at + 1 : at + 3] == ["a=/kit/a", '{"name": "b", "path": "/kit/b"}']


def test_newer_engines_forgive_how_a_backend_is_spelt() -> None:
    assert errors(document({"args": {"moe_backend": "Deep-Gemm"}}, name="serve"), "serve") == ()
    assert "'deep_gemm'" in said(document({"args": {"moe_backend": "deepgemm"}}, name="serve"), "serve")
    assert errors(document({"args": {"max_num_batched_tokens": "8k"}}, name="serve"), "serve") == ()
    assert errors(gpu_document({"args": {"max_num_batched_tokens": "8k"}}, name="serve"), "serve")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    project = parse_project(document({"args": {"lora_rnk": 8, "cutoff_len": "long", "packing": True}}))
    with pytest.raises(ConfigError) as caught:
        check_arguments(project, "train")
    assert caught.value.where == "jobs.train.args.lora_rnk"
    assert "also jobs.train.args.cutoff_len: 'long' is not what it takes" in caught.value.why
    assert "packing" not in str(caught.value)


def test_it_is_refused_by_lock_and_told_by_check_before_any_host_is_asked(tmp_path: Path) -> None:
    project = parse_project(document({"args": {"lora_rnk": 8}}))
    with pytest.raises(ConfigError, match="has no argument 'lora_rnk'"):
        make_lock(LoadedProject(project, tmp_path), offline=True, progress=NoProgress())
    with pytest.raises(ConfigError, match="has no argument 'lora_rnk'"):
        check_job(project, "train")
    (found,) = job_findings(project, "gpu2")
    assert (found.level, found.code) == ("fail", "job")
    assert "jobs.train.args.lora_rnk" in found.text


def test_a_release_that_kit_has_no_table_of_is_a_note() -> None:
    asked = {"packages": {"train": ["llamafactory==0.9.4"]}}
    project = parse_project(gpu_document({"args": {"lora_rnk": 8}}) | asked)
    assert argument_errors(project, "train") == ()
    assert "no list of what LLaMA-Factory 0.9.4 with transformers 4.52.4 takes" in unchecked(project, "train")
    (found,) = job_findings(project, "gpu2")
    assert found.level == "warn"
    assert unchecked(parse_project(gpu_document({"args": {}}) | asked), "train") == ""
    assert unchecked(parse_project(document({"args": {"lora_rank": 8}})), "train") == ""


def test_another_transformers_in_the_train_image_alone_makes_its_arguments_unknown() -> None:
    made = gpu_document({"args": {"lora_rank": 8}})
    there = parse_project(made | {"packages": {"train": ["transformers==4.51.0"]}})
    assert "transformers 4.51.0" in unchecked(there, "train")
    beside = parse_project(made | {"packages": {"serve": ["transformers==4.51.0"]}})
    assert unchecked(beside, "train") == ""


def test_an_engine_or_version_without_a_table_has_none() -> None:
    assert load_table("vllm", "0.0.1") is None


def test_what_may_be_a_secret_is_not_told() -> None:
    for args in ({"api_key": {"a": "hush"}}, {"api_key": ["hush"]}):
        assert "hush" not in said(gpu_document({"args": args}, name="serve"), "serve")
    assert "2718" not in said(document({"args": {"swanlab_api_key": 2718}}))
