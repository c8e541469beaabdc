"""LoRA adapters that an engine serves beside their model: which it takes, and the words for them. Pure.

Sources: vLLM's PEFTHelper and LoRAConfig (0.8.5, 0.31), SGLang 0.4.6.post1's lora_config.py, lora.py and
server_args.py. vLLM's rank is a ceiling, one of a few numbers. SGLang serves no adapter with its graphs and
its prefix cache on, scales by alpha / r alone, and knows no adapter of embeddings or the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kit.errors import ConfigError
from kit.jobs.arguments import is_on, own_arguments
from kit.jobs.places import ADAPTERS, MODELS
from kit.jobs.versions import release

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kit.jobs.launch import ModelSource
    from kit.project.job_model import ServeJob, TrainJob
    from kit.project.model import Project

_OWNED = dict.fromkeys(("enable_lora", "lora_modules", "lora_paths"), "`adapters` of the job says it")
"""Free in a job without `adapters`: a model's folder may hold an adapter of its own."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_MOST = {True: 320, False: 512}
"""Largest rank of vLLM before 0.9, and since."""
_DEFAULT_RANK = 8
"""LLaMA-Factory's lora_rank."""

Refusal = tuple[str, "Callable[[TrainJob], bool]", str]

_BOTH: tuple[Refusal, ...] = (
    (
        "finetuning_type",
        lambda job: job.args.get("finetuning_type", "lora") != "lora",
        "only a LoRA training makes an adapter that an engine serves; merge it with a job of kind export",
    ),
    ("use_dora", lambda job: is_on(job.args.get("use_dora")), "no engine serves DoRA; merge it"),
    (
        "additional_target",
        lambda job: bool(job.args.get("additional_target")),
        "modules trained whole are no part of what an engine puts beside the model; merge it",
    ),
    (
        "resize_vocab",
        lambda job: is_on(job.args.get("resize_vocab")),
        "the training changed the model's embeddings; merge it",
    ),
    (
        "pissa_init",
        lambda job: is_on(job.args.get("pissa_init")) and not is_on(job.args.get("pissa_convert")),
        "its adapter fits a model that PiSSA changed; train with pissa_convert: true",
    ),
)
_SGLANG: tuple[Refusal, ...] = (
    (
        "use_rslora",
        lambda job: is_on(job.args.get("use_rslora")),
        "SGLang scales an adapter by alpha / rank alone; serve it with vLLM",
    ),
    (
        "lora_target",
        lambda job: bool({"embed_tokens", "lm_head"} & set(_targets(job))),
        "SGLang knows no adapter of embeddings or the head; serve it with vLLM",
    ),
)


def _targets(job: TrainJob) -> tuple[str, ...]:
    given = job.args.get("lora_target", "all")
    return tuple(given) if isinstance(given, list | tuple) else tuple(str(given).split(","))


def check_adapters(project: Project, name: str) -> None:
    """Raise ConfigError when the engine cannot serve an adapter as its training is described."""
    job = cast("ServeJob", project.jobs[name])
    if job.adapters:
        own_arguments(name, job.args, _OWNED)
    refusals = _BOTH if job.engine == "vllm" else _BOTH + _SGLANG
    for index, adapter in enumerate(job.adapters):
        training = cast("TrainJob", project.jobs[adapter])
        for argument, wrong, why in refusals:
            if wrong(training):
                raise ConfigError(
                    f"the adapter of {adapter} cannot be served beside its model",
                    where=f"jobs.{name}.adapters[{index}]",
                    why=f"jobs.{adapter}.args.{argument}: {why}",
                    fix=f"take {adapter} out of adapters, or change jobs.{adapter}.args.{argument}",
                )


def adapter_words(
    project: Project, name: str, version: str, sources: Mapping[str, ModelSource]
) -> tuple[str, ...]:
    """Return the engine's words for a job's adapters; none without adapters.

    Raises ConfigError for one that was trained on another model, or whose rank is too large.
    """
    job = cast("ServeJob", project.jobs[name])
    if not job.adapters:
        return ()
    ranks = [_rank(project, name, adapter, sources) for adapter in job.adapters]
    paths = tuple(f"{adapter}={ADAPTERS}/{adapter}" for adapter in job.adapters)
    if job.engine == "sglang":
        return (
            *("--disable-cuda-graph", "--disable-radix-cache"),
            f"--max-loras-per-batch={len(paths) + 1}",  # requests without one count as one
            *("--lora-paths", *paths),
        )
    most = _MOST[release(version) < (0, 9)]
    if max(ranks) > most:
        raise ConfigError(
            f"an adapter of rank {max(ranks)}; vLLM {version} serves {most} at most",
            where=f"jobs.{name}.adapters",
            fix="merge it with a job of kind export",
        )
    ceiling = next(rank for rank in _RANKS if rank >= max(ranks))
    words = ("--enable-lora", f"--max-lora-rank={ceiling}", f"--max-loras={len(paths)}")
    return (*words, "--lora-modules", *paths)


def _rank(project: Project, name: str, adapter: str, sources: Mapping[str, ModelSource]) -> int:
    job = cast("ServeJob", project.jobs[name])
    shape = sources[adapter].adapter if adapter in sources else None
    if shape is None:
        return int(project.jobs[adapter].args.get("lora_rank", _DEFAULT_RANK))  # type: ignore[union-attr]
    if shape.model != f"{MODELS}/{job.model}":
        raise ConfigError(
            f"the newest adapter of {adapter} is one for {shape.model.removeprefix(MODELS + '/')!r}",
            where=f"jobs.{name}.adapters",
            why=f"it was made before jobs.{adapter}.model changed, and this job serves {job.model!r}",
            fix=f"kit up {adapter}",
        )
    return shape.rank
