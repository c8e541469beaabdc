from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.jobs.check_arguments import argument_errors
from kit.jobs.launch import AdapterShape
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    gpu_document,
    launch_of,
    service_of,
    words_of,
)


def _served(args: dict[str, Any] | None = None, *, gpu: bool = False, **job: Any) -> dict[str, Any]:
    made = (gpu_document if gpu else document)({"model": "tiny", "adapters": ["train"], **job}, name="serve")
    made["jobs"]["train"]["args"] = args or {}
    return made


def _words(made: dict[str, Any], shape: AdapterShape | None = None) -> list[str]:
    project = parse_project(made)
    context = context_of(project)
    source = replace(context.sources["train"], adapter=shape)
    context = replace(context, sources={**context.sources, "train": source})
    return words_of(make_launch(project, "serve", RUN_ID, context).hosts[0])


def test_an_adapter_is_mounted_and_served_under_its_jobs_name() -> None:
    share = launch_of(_served(), "serve").hosts[0]
    (mount,) = (m for m in service_of(share)["volumes"] if m["target"] == "/kit/adapters/train")
    assert (mount["source"], mount["read_only"]) == ("/aisys/kit/runs/train/20251231-000000-0000/out", True)
    words = words_of(share)
    assert words[words.index("--lora-modules") + 1] == "train=/kit/adapters/train"
    assert {"--enable-lora", "--max-lora-rank=8", "--max-loras=1", "--served-model-name=tiny"} <= set(words)


def test_the_rank_is_what_the_adapter_says_and_else_what_the_training_asks_for() -> None:
    assert "--max-lora-rank=32" in _words(_served({"lora_rank": 20}))
    assert "--max-lora-rank=64" in _words(_served({"lora_rank": 20}), AdapterShape(64, "/kit/models/tiny"))


def test_a_ceiling_of_the_users_own_wins() -> None:
    words = _words(_served(args=None) | {}, None)
    assert words[-1] == "train=/kit/adapters/train"
    made = _served()
    made["jobs"]["serve"]["args"] = {"max_lora_rank": 16}
    words = _words(made)
    assert words.index("--max-lora-rank=8") < words.index("--max-lora-rank=16")


def test_sglang_serves_adapters_without_graphs_and_prefix_cache() -> None:
    words = _words(_served(gpu=True, engine="sglang"))
    assert {"--disable-cuda-graph", "--disable-radix-cache", "--max-loras-per-batch=2"} <= set(words)
    assert words[words.index("--lora-paths") + 1] == "train=/kit/adapters/train"


def test_an_adapter_of_another_model_is_refused_as_the_file_is_read() -> None:
    made = _served(model="merge")
    with pytest.raises(ConfigError, match=r"jobs.serve.adapters\[0\]: train trains an adapter for 'tiny'"):
        parse_project(made)


def test_an_adapter_that_was_made_before_its_model_changed_is_refused() -> None:
    with pytest.raises(ConfigError, match="is one for 'older'") as caught:
        _words(_served(), AdapterShape(8, "/kit/models/older"))
    assert caught.value.fix == "kit up train"


@pytest.mark.parametrize("adapters", [["train", "train"], ["merge"], ["trian"]])
def test_adapters_are_train_jobs_each_once(adapters: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"jobs.serve.adapters\["):
        parse_project(_served(adapters=adapters))


def test_a_name_for_requests_stands_for_one_thing() -> None:
    with pytest.raises(ConfigError, match="the name 'train' is taken"):
        parse_project(_served(served_name="train"))


@pytest.mark.parametrize(
    ("args", "engine", "refused"),
    [
        ({"finetuning_type": "full"}, "vllm", "finetuning_type"),
        ({"use_dora": True}, "vllm", "use_dora"),
        ({"additional_target": "embed_tokens"}, "vllm", "additional_target"),
        ({"resize_vocab": True}, "vllm", "resize_vocab"),
        ({"pissa_init": True}, "vllm", "pissa_init"),
        ({"pissa_init": True, "pissa_convert": True}, "vllm", ""),
        ({"use_rslora": True}, "vllm", ""),
        ({"use_rslora": True}, "sglang", "use_rslora"),
        ({"lora_target": "q_proj,lm_head"}, "sglang", "lora_target"),
        ({"lora_target": "q_proj,v_proj"}, "sglang", ""),
    ],
)
def test_what_no_engine_serves_is_refused_before_a_host_is_asked(
    args: dict[str, Any], engine: str, refused: str
) -> None:
    errors = argument_errors(parse_project(_served(args, gpu=True, engine=engine)), "serve")
    assert [error.where for error in errors] == (["jobs.serve.adapters[0]"] if refused else [])
    assert all(f"jobs.train.args.{refused}" in error.why for error in errors)


def test_a_rank_above_the_engines_largest_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rank 400; vLLM 0\.8\.5\.post1 serves 320"):
        _words(_served({"lora_rank": 400}, gpu=True))


@pytest.mark.parametrize("flag", ["lora_modules", "lora-modules"])
def test_flags_that_adapters_stands_for_are_refused_in_args(flag: str) -> None:
    made = _served()
    made["jobs"]["serve"]["args"] = {flag: "x=/y"}
    (error,) = argument_errors(parse_project(made), "serve")
    assert "`adapters`" in error.why
