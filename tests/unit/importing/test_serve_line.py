"""Lines that serve a model, in all their spellings."""

from __future__ import annotations

import pytest

from kit.errors import ConfigError
from tests.unit.importing.import_factories import draft, draft_of, table

SGLANG = ("python", "-m", "sglang.launch_server", "--model-path", "Qwen/Qwen3-8B")
MODULE = ("python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "Qwen/Qwen3-8B")


@pytest.mark.parametrize(
    "words",
    [
        ("vllm", "serve", "Qwen/Qwen3-8B", "-tp", "2", "--max-model-len", "4096"),
        ("vllm", "serve", "-tp=2", "--max_model_len=4096", "Qwen/Qwen3-8B"),
        (*MODULE, "--tensor_parallel_size", "2", "--max-model-len=4096"),
        (*SGLANG, "--tp", "2", "--context-length", "4096"),
    ],
)
def test_every_spelling_means_the_same(words: tuple[str, ...]) -> None:
    found = draft_of(*words)
    assert found.kind == "serve"
    assert found.model is not None
    assert found.model.name == "Qwen/Qwen3-8B"
    assert (found.body["tensor_parallel"], found.body["max_model_len"]) == (2, 4096)
    assert found.invocation.gpus == 2


def test_template_is_said_to_be_no_flag_of_vllm() -> None:
    found = draft_of("vllm", "serve", "a/b", "--template", "qwen3")
    action, _, because = table(found)["--template qwen3"]
    assert action == "dropped"
    assert "no flag of vLLM" in because
    assert "LLaMA-Factory" in because
    assert "args" not in found.body


def test_flags_of_others_become_what_they_mean() -> None:
    found = draft_of(*MODULE, "--vllm_maxlen", "2048", "--tp-size", "4", "--mem-fraction-static", "0.8")
    assert found.body["max_model_len"] == 2048
    assert found.body["tensor_parallel"] == 4
    assert found.body["gpu_memory_utilization"] == 0.8


def test_values_survive_and_switches_are_switches() -> None:
    found = draft_of(
        *MODULE,
        *(
            "--hf-overrides",
            '{"a": "it\'s $x\\n中"}',
            "--enable-prefix-caching",
            "--no-enable-chunked-prefill",
        ),
        *(
            "--max-num-batched-tokens=64",
            "--compilation-config.level",
            "3",
            "--override-generation-config",
            "x: 'y",
        ),
    )
    assert found.body["args"] == {
        "hf-overrides": {"a": "it's $x\n中"},
        "enable-prefix-caching": True,
        "enable-chunked-prefill": False,
        "max-num-batched-tokens": 64,
        "compilation-config": {"level": 3},
        "override-generation-config": "x: 'y",
    }


def test_reasoning_names_and_addresses_have_keys_of_their_own() -> None:
    found = draft_of(
        *MODULE,
        *("--enable-reasoning", "--reasoning-parser", "deepseek_r1", "--served-model-name", "one", "two"),
        *("--host", "0.0.0.0", "--port", "8001", "--dtype", "bfloat16", "--revision", "abc"),
    )
    assert found.body == {
        "engine": "vllm",
        "reasoning": "deepseek_r1",
        "served_name": "one",
        "bind": "0.0.0.0",
        "port": 8001,
        "dtype": "bfloat16",
    }
    assert found.model is not None
    assert found.model.revision == "abc"
    assert table(found)["two"][0] == "dropped"


def test_secrets_are_neither_kept_nor_shown() -> None:
    found = draft("VLLM_API_KEY=s3cret HF_TOKEN=s3cret vllm serve a/b --api-key s3cret")
    assert "s3cret" not in str(found.body)
    assert "s3cret" not in str(found.invocation.changes)


def test_a_config_file_of_vllm_lies_beneath_the_flags() -> None:
    config = "model: a/b\nport: 7000\nmax-model-len: 128\nenforce-eager: true\n"
    found = draft("vllm serve --config c.yaml --port 7001", c_yaml=config)
    assert (found.body["port"], found.body["max_model_len"]) == (7001, 128)
    assert found.body["args"] == {"enforce-eager": True}
    assert draft(config).body["port"] == 7000


def test_the_model_of_modelscope_is_known_by_a_variable() -> None:
    found = draft("VLLM_USE_MODELSCOPE=True vllm serve a/b")
    assert found.model is not None
    assert found.model.modelscope
    assert "env" not in found.body


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vllm serve", "no model"),
        ("vllm bench throughput", "vllm bench"),
        ("vllm serve a/b --config gone.yaml", "gone.yaml"),
        ("ls -l", "nothing that kit has a job for"),
        ("", "nothing that kit has a job for"),
    ],
)
def test_what_is_no_serve_job_is_refused_with_a_way_on(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        draft(line)
    assert caught.value.fix
