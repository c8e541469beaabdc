from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kit.errors import ConfigError, UnfitError
from kit.jobs.launch import LaunchContext
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    gpu_document,
    gpus,
    launch_of,
    service_of,
    words_of,
)


def _words(made: dict[str, Any], **facts: Any) -> list[str]:
    return words_of(launch_of(made, "serve", **facts).hosts[0])


def _cpu(**job: Any) -> dict[str, Any]:
    return document(job, name="serve")


def _gpu(job: dict[str, Any], **host: Any) -> dict[str, Any]:
    return gpu_document(job, name="serve", **host)


def test_an_endpoint_listens_on_the_loopback_under_its_models_name() -> None:
    launch = launch_of(document(), "serve")
    assert (launch.endpoint_bind, launch.endpoint_port, launch.served_name) == ("127.0.0.1", 8000, "merge")
    words = words_of(launch.hosts[0])
    assert words[:3] == ["python3", "-m", "vllm.entrypoints.openai.api_server"]
    assert {"--host=127.0.0.1", "--port=8000", "--served-model-name=merge"} <= set(words)
    assert "--model=/kit/models/merge" in words


def test_a_merged_model_is_mounted_from_its_run_and_a_shipped_one_from_models() -> None:
    def source(model: str) -> str:
        service = service_of(launch_of(_cpu(model=model), "serve").hosts[0])
        (mount,) = (mount for mount in service["volumes"] if mount["target"] == f"/kit/models/{model}")
        assert mount["read_only"] is True
        return str(mount["source"])

    assert source("merge") == "/aisys/kit/runs/merge/20251231-000000-0000/out"
    assert source("tiny") == "/aisys/kit/models/tiny"


def test_settings_become_vllm_flags() -> None:
    words = _words(
        _gpu(
            {"tensor_parallel": 4, "max_model_len": 4096, "gpu_memory_utilization": 0.85, "dtype": "bfloat16"}
        )
    )
    assert {
        "--tensor-parallel-size=4",
        "--max-model-len=4096",
        "--gpu-memory-utilization=0.85",
        "--dtype=bfloat16",
    } <= set(words)


def test_settings_become_sglang_flags() -> None:
    words = _words(
        _gpu(
            {
                "engine": "sglang",
                "tensor_parallel": 2,
                "max_model_len": 4096,
                "gpu_memory_utilization": 0.8,
                "dtype": "auto",
                "reasoning": "qwen3",
            }
        )
    )
    assert words[:3] == ["python3", "-m", "sglang.launch_server"]
    assert {
        "--model-path=/kit/models/merge",
        "--tp-size=2",
        "--context-length=4096",
        "--mem-fraction-static=0.8",
        "--dtype=auto",
        "--reasoning-parser=qwen3",
    } <= set(words)


def test_pipelines_quantisation_and_requests_at_a_time_in_the_words_of_each_engine() -> None:
    given = {"max_num_seqs": 8, "quantization": "awq"}
    words = _words(_gpu({"tensor_parallel": 2, "pipeline_parallel": 2, **given}))
    assert {"--pipeline-parallel-size=2", "--max-num-seqs=8", "--quantization=awq"} <= set(words)
    assert {"--max-running-requests=8", "--quantization=awq"} <= set(
        _words(_gpu({"engine": "sglang", **given}))
    )


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (
            {"quantization": "awk"},
            "jobs.serve.quantization: 'awk' is none of the choices .*did you mean 'awq'",
        ),
        (
            {"engine": "sglang", "pipeline_parallel": 2},
            "jobs.serve.pipeline_parallel: SGLang 0.4.6.post1 splits",
        ),
        ({"tensor_parallel": 2, "pipeline_parallel": 4}, "8 GPUs are needed"),
    ],
)
def test_what_an_engine_cannot_do_with_a_model_is_refused(job: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _words(_gpu(job))
    assert re.search(told, str(caught.value))


def test_sglang_needs_no_compiler_on_the_host_unless_the_user_says_so() -> None:
    words = _words(_gpu({"engine": "sglang", "args": {"attention_backend": "flashinfer"}}))
    assert "--sampling-backend=pytorch" in words
    assert words.index("--attention-backend=triton") < words.index("--attention-backend=flashinfer")


def test_reasoning_speaks_the_words_of_the_engines_version() -> None:
    old, new = _words(_gpu({"reasoning": "qwen3"})), _words(_cpu(reasoning="qwen3"))
    assert {"--enable-reasoning", "--reasoning-parser=deepseek_r1"} <= set(old)
    assert "--reasoning-parser=qwen3" in new
    assert "--enable-reasoning" not in new


def test_a_release_that_packages_asks_for_is_the_one_that_is_spoken_to() -> None:
    asked = {"serve": ["torch==2.7.0", "vllm==0.9.2"]}
    words = _words(_gpu({"reasoning": "qwen3"}) | {"packages": asked})
    assert "--reasoning-parser=qwen3" in words
    assert "--enable-reasoning" not in words


def test_own_flags_are_written_as_the_engine_takes_them() -> None:
    words = _words(
        _cpu(
            args={
                "max_num_seqs": 8,
                "enforce-eager": True,
                "enable_prefix_caching": False,
                "middleware": ["a.b", "c.d"],
                "override_generation_config": {"temperature": 0, "停": "$x"},
                "seed": None,
            }
        )
    )
    assert {"--max-num-seqs=8", "--enforce-eager", "--no-enable-prefix-caching"} <= set(words)
    assert [word for word in words if word.startswith("--middleware")] == [
        "--middleware=a.b",
        "--middleware=c.d",
    ]
    (config,) = (word for word in words if word.startswith("--override-generation-config="))
    assert json.loads(config.partition("=")[2]) == {"temperature": 0, "停": "$x"}
    assert not any(word.startswith("--seed") for word in words)


def test_only_the_gpus_that_the_model_needs_are_taken() -> None:
    def device(made: dict[str, Any]) -> dict[str, Any]:
        service = service_of(launch_of(made, "serve", gpus=gpus(8)).hosts[0])
        (found,) = service["deploy"]["resources"]["reservations"]["devices"]
        return dict(found)

    assert device(_gpu({"tensor_parallel": 2}))["device_ids"] == ["0", "1"]
    assert device(_gpu({"tensor_parallel": 2}, gpus="3,4,5"))["device_ids"] == ["3", "4"]
    assert len(device(_gpu({"tensor_parallel": 2, "args": {"data-parallel-size": 2}}))["device_ids"]) == 4


def test_cards_without_peer_to_peer_do_without_custom_all_reduce() -> None:
    for engine in ("vllm", "sglang"):
        launch = launch_of(_gpu({"engine": engine, "tensor_parallel": 4}, p2p=False), "serve")
        assert "--disable-custom-all-reduce" in words_of(launch.hosts[0])
        assert service_of(launch.hosts[0])["environment"]["NCCL_P2P_DISABLE"] == "1"
    assert "--disable-custom-all-reduce" not in _words(_gpu({"tensor_parallel": 4}))


def test_a_cpu_endpoint_has_a_bounded_cache_and_sees_no_gpu() -> None:
    service = service_of(launch_of(document(), "serve").hosts[0])
    assert service["environment"]["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert service["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    assert "VLLM_CPU_OMP_THREADS_BIND" not in service["environment"]
    assert "deploy" not in service


def test_cpu_workers_share_the_cores() -> None:
    service = service_of(launch_of(_cpu(tensor_parallel=2), "serve", cores=5).hosts[0])
    assert service["environment"]["VLLM_CPU_OMP_THREADS_BIND"] == "0,1|2,3"


def test_an_endpoint_has_room_in_shared_memory_and_talks_over_the_loopback() -> None:
    service = service_of(launch_of(document(), "serve").hosts[0])
    assert service["shm_size"] == "16gb"
    assert service["network_mode"] == "host"
    assert service["environment"]["VLLM_HOST_IP"] == "127.0.0.1"
    assert service["environment"]["GLOO_SOCKET_IFNAME"] == "lo"
    assert service["extra_hosts"] == ["gpu1:127.0.0.1"]


def test_a_host_name_that_is_none_is_left_out() -> None:
    service = service_of(launch_of(document(), "serve", hostname="(none)").hosts[0])
    assert "extra_hosts" not in service


@pytest.mark.parametrize(
    ("job", "key"),
    [
        ({"bind": "localhost"}, "jobs.serve.bind"),
        ({"served_name": "--help"}, "jobs.serve.served_name"),
        ({"served_name": "a name"}, "jobs.serve.served_name"),
        ({"gpu_memory_utilization": 0.5}, "jobs.serve.gpu_memory_utilization"),
        ({"tensor_parallel": 9}, "jobs.serve.tensor_parallel"),
        ({"args": {"model": "x"}}, "jobs.serve.args.model"),
        ({"args": {"tensor-parallel-size": 2}}, "jobs.serve.args.tensor-parallel-size"),
        ({"args": {"enable_reasoning": True}}, "jobs.serve.args.enable_reasoning"),
        ({"env": {"CUDA_VISIBLE_DEVICES": "0"}}, "jobs.serve.env.CUDA_VISIBLE_DEVICES"),
    ],
)
def test_what_cannot_work_is_refused_with_key_and_fix(job: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launch_of(_cpu(**job), "serve")
    assert caught.value.where == key
    assert caught.value.fix


def test_a_stack_without_the_engine_refuses_it() -> None:
    made = document({"engine": "sglang"}, name="serve", images=["train", "serve", "serve-sglang"])
    with pytest.raises(ConfigError, match="stack cpu has no sglang"):
        launch_of(made, "serve")


@pytest.mark.parametrize(
    ("job", "host", "message"),
    [
        ({"tensor_parallel": 8}, {}, "8 GPUs are needed, 4 given"),
        ({"tensor_parallel": 4, "args": {"pipeline_parallel_size": 2}}, {}, "8 GPUs are needed"),
        ({"tensor_parallel": 3}, {"gpus": "0,1"}, "3 GPUs are needed, 2 given"),
        ({}, {"gpus": 0}, "none is given"),
        ({"reasoning": "qwen9"}, {}, "vLLM 0.8.5.post1 has no reasoning parser 'qwen9'"),
        ({"engine": "sglang", "reasoning": "granite"}, {}, "SGLang 0.4.6.post1 has no reasoning parser"),
        ({"engine": "sglang", "args": {"enable_metrics": False}}, {}, "cannot be switched off"),
    ],
)
def test_what_cannot_work_on_gpus_is_refused(job: dict[str, Any], host: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launch_of(_gpu(job, **host), "serve")
    assert message in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("given", "message"),
    [(4, "the host has 2"), ("0,7", "no GPU 7"), ("GPU-00000000,GPU-ffff", "no GPU GPU-ffff")],
)
def test_gpus_that_the_host_lacks_make_it_unfit(given: int | str, message: str) -> None:
    with pytest.raises(UnfitError) as caught:
        launch_of(_gpu({"tensor_parallel": 4 if given == 4 else 2}, gpus=given), "serve", gpus=gpus(2))
    assert message in str(caught.value)


def test_a_model_that_no_run_has_made_yet_is_refused_with_the_command_that_makes_it() -> None:
    project = parse_project(document())
    context = context_of(project)
    with pytest.raises(ConfigError, match="kit up merge"):
        make_launch(project, "serve", RUN_ID, LaunchContext(context.images, context.facts))
