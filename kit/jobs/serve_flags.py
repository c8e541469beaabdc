"""The words that start vLLM or SGLang; which words depends on the engine's version.

Sources: vLLM's and SGLang's own argument parsers at the pinned versions. vLLM below 0.9 knows the
reasoning parsers deepseek_r1 and granite only, behind --enable-reasoning; Qwen3's output has the same
form as DeepSeek R1's. From 0.10 on --enable-reasoning is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.jobs.argument_table import load_table
from kit.jobs.argument_value import wrong_value
from kit.jobs.arguments import own_arguments
from kit.jobs.versions import release

if TYPE_CHECKING:
    from kit.jobs.argument_table import Argument, Table
    from kit.project.job_model import ServeJob

_OLD_PARSERS = {"qwen3": "deepseek_r1", "deepseek_r1": "deepseek_r1", "granite": "granite"}
_SGLANG_PARSERS = {"qwen3": "qwen3", "deepseek_r1": "deepseek-r1", "deepseek-r1": "deepseek-r1"}

OWNED_FLAGS = {
    "model": "`model` says it",
    "model_path": "`model` says it",
    "served_model_name": "`served_name` says it",
    "host": "`bind` says it",
    "port": "`port` says it",
    "tensor_parallel_size": "`tensor_parallel` says it",
    "tp_size": "`tensor_parallel` says it",
    "max_model_len": "`max_model_len` of the job says it",
    "context_length": "`max_model_len` of the job says it",
    "gpu_memory_utilization": "`gpu_memory_utilization` of the job says it",
    "mem_fraction_static": "`gpu_memory_utilization` of the job says it",
    "dtype": "`dtype` of the job says it",
    "api_key": "every user of the host sees command lines; `api_key_file` of the job names a file with it",
    "reasoning_parser": "`reasoning` says it, in the words of the engine's version",
    "enable_reasoning": "`reasoning` says it, in the words of the engine's version",
    **dict.fromkeys(
        ("nnodes", "node_rank", "dist_init_addr"), "`hosts` and `cluster_port` of the job say it"
    ),
}
_PARALLEL = ("pipeline_parallel_size", "data_parallel_size", "dp_size")


def gpus_needed(job: ServeJob) -> int:
    """Return how many GPUs (or CPU workers) the job's parallel sizes multiply to."""
    count = job.tensor_parallel * job.pipeline_parallel
    for argument, value in job.args.items():
        if argument.replace("-", "_") in _PARALLEL and isinstance(value, int):
            count *= value
    return count


def serve_words(
    name: str, job: ServeJob, version: str, model: str, *, gpus: bool, more: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the command of the job's container, the program first. Raises ConfigError.

    `more` are words of kit's own that come before the job's `args`, which win.
    """
    own = own_arguments(name, job.args, OWNED_FLAGS)
    if job.gpu_memory_utilization is not None and not gpus:
        raise ConfigError(
            "there is no GPU in stack cpu",
            where=f"jobs.{name}.gpu_memory_utilization",
            fix=f'jobs.{name}.env: {{VLLM_CPU_KVCACHE_SPACE: "4"}} gives the cache 4 GiB',
        )
    build = _vllm if job.engine == "vllm" else _sglang
    table = load_table(job.engine, version) or {}
    words = (*build(name, job, version, model), *_quantization(name, job, table), *more)
    extra = (
        word for argument, value in own.items() for word in _flag(name, job.engine, argument, value, table)
    )
    return (*words, *extra)


def _quantization(name: str, job: ServeJob, table: Table) -> tuple[str, ...]:
    if job.quantization is None:
        return ()
    known = table.get("quantization")
    wrong = wrong_value(known, job.quantization) if known else None
    if wrong:
        what, why, fix = wrong
        raise ConfigError(what, where=f"jobs.{name}.quantization", why=why, fix=fix)
    return (f"--quantization={job.quantization}",)


def flag_of(given: str, table: Table) -> Argument | None:
    """Return the flag that a name in `args` stands for, underscores or dashes; None when there is none.

    `no_NAME` is the other side of a flag that can be switched off.
    """
    name = given.replace("_", "-")
    other = table.get(name.removeprefix("no-"))
    return table.get(name) or (other if other and other.takes == "toggle" else None)


def _vllm(name: str, job: ServeJob, version: str, model: str) -> tuple[str, ...]:
    # `vllm serve` of the CPU wheel dies looking for package metadata; the module is the same server.
    words = ["python3", "-m", "vllm.entrypoints.openai.api_server", f"--model={model}"]
    words += [
        f"--served-model-name={job.served_name or job.model}",
        f"--host={job.bind}",
        f"--port={job.port}",
    ]
    if job.tensor_parallel > 1:
        words.append(f"--tensor-parallel-size={job.tensor_parallel}")
    if job.pipeline_parallel > 1:
        words.append(f"--pipeline-parallel-size={job.pipeline_parallel}")
    if job.max_model_len is not None:
        words.append(f"--max-model-len={job.max_model_len}")
    if job.max_num_seqs is not None:
        words.append(f"--max-num-seqs={job.max_num_seqs}")
    if job.gpu_memory_utilization is not None:
        words.append(f"--gpu-memory-utilization={job.gpu_memory_utilization}")
    if job.dtype is not None:
        words.append(f"--dtype={job.dtype}")
    return (*words, *_vllm_reasoning(name, job.reasoning, version))


def _vllm_reasoning(name: str, reasoning: str | None, version: str) -> tuple[str, ...]:
    if reasoning is None:
        return ()
    if release(version) >= (0, 9):
        return (f"--reasoning-parser={reasoning}",)
    return (
        "--enable-reasoning",
        f"--reasoning-parser={_parser(name, reasoning, _OLD_PARSERS, f'vLLM {version}')}",
    )


def _sglang(name: str, job: ServeJob, version: str, model: str) -> tuple[str, ...]:
    words = ["python3", "-m", "sglang.launch_server", f"--model-path={model}"]
    words += [
        f"--served-model-name={job.served_name or job.model}",
        f"--host={job.bind}",
        f"--port={job.port}",
        # FlashInfer compiles its kernels when they are first used, with an nvcc that does not travel.
        # Users' args come later on the command line, and win.
        "--attention-backend=triton",
        "--sampling-backend=pytorch",
    ]
    if job.tensor_parallel > 1:
        words.append(f"--tp-size={job.tensor_parallel}")
    if job.pipeline_parallel > 1:
        raise ConfigError(
            f"SGLang {version} splits no model into a pipeline",
            where=f"jobs.{name}.pipeline_parallel",
            fix="tensor_parallel spreads it over GPUs, or engine: vllm",
        )
    if job.max_model_len is not None:
        words.append(f"--context-length={job.max_model_len}")
    if job.max_num_seqs is not None:
        words.append(f"--max-running-requests={job.max_num_seqs}")
    if job.gpu_memory_utilization is not None:
        words.append(f"--mem-fraction-static={job.gpu_memory_utilization}")
    if job.dtype is not None:
        words.append(f"--dtype={job.dtype}")
    if job.reasoning is not None:
        words.append(
            f"--reasoning-parser={_parser(name, job.reasoning, _SGLANG_PARSERS, f'SGLang {version}')}"
        )
    return tuple(words)


def _parser(name: str, reasoning: str, known: Mapping[str, str], engine: str) -> str:
    if reasoning not in known:
        raise ConfigError(
            f"{engine} has no reasoning parser {reasoning!r}",
            where=f"jobs.{name}.reasoning",
            fix=f"one of {', '.join(known)}",
        )
    return known[reasoning]


def _flag(name: str, engine: str, argument: str, value: Any, table: Table) -> tuple[str, ...]:
    flag = argument.replace("_", "-")
    known = flag_of(argument, table)
    if value is None:
        return ()
    if value is True:
        return (f"--{flag}",)
    if value is False and engine == "sglang":
        raise ConfigError(
            "SGLang's switches cannot be switched off",
            where=f"jobs.{name}.args.{argument}",
            fix=f"remove jobs.{name}.args.{argument}",
        )
    if value is False:
        return (f"--no-{flag}",)
    if isinstance(value, list) and known is not None and known.takes == "append":
        return tuple(f"--{flag}={_text(item)}" for item in value)
    if isinstance(value, list) and not (known is not None and "json" in known.kinds):
        return (f"--{flag}", *(_text(item) for item in value))
    return (f"--{flag}={_text(value)}",)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else str(value)
