"""The types of the jobs in kit.yaml, one for each kind. Unknown keys are refused; everything is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from kit.project.section import Port, Section, SomeGpus


class JobBase(Section):
    """What every job has: where it runs, and its image when it is not the usual one."""

    hosts: tuple[str, ...] = ()
    env: Mapping[str, str] = {}


class GpuJob(JobBase):
    """A job that computes on GPUs, in a stack that has them."""

    gpus: SomeGpus | None = None
    """On each of its hosts: a count, or ids among the host's; as many as it can use when left out."""


class Elastic(Section):
    """A training that may lose hosts."""

    min_hosts: int = Field(default=1, ge=1)
    """Fewest hosts that it goes on with."""
    restarts: int = Field(default=3, ge=0)
    """How often its workers are started again."""


class TrainJob(GpuJob):
    """LLaMA-Factory with DeepSpeed, one process per GPU (or per host on a CPU)."""

    kind: Literal["train"]
    model: str
    datasets: tuple[str, ...] = Field(min_length=1)
    hosts: tuple[str, ...] = Field(min_length=1)
    template: str = "qwen3"
    zero: Literal[0, 1, 2, 3] | None = 2
    """DeepSpeed's ZeRO stage; null trains without DeepSpeed."""
    offload: Literal["none", "optimizer", "all", "nvme"] = "none"
    elastic: Elastic | None = None
    """When hosts fail on the way, the others begin again; null ends the training on all of them."""
    tokenize_first: bool | None = None
    """Tokenise before the ranks meet; None does so when the datasets are large."""
    reward: str | None = None
    """The train job of stage rm whose model PPO asks for rewards."""
    args: Mapping[str, Any] = {}
    """LLaMA-Factory's own arguments, as they stand in its YAML."""
    port: Port | None = None
    """Where the ranks meet; the first free port from 29500 on when left out."""


class ExportJob(GpuJob):
    """Merges the adapter that a train job made into its base model, or writes a model anew: quantised."""

    kind: Literal["export"]
    from_: str | None = Field(default=None, alias="from")
    model: str | None = None
    """A model or another export job, in place of `from`."""
    template: str | None = None
    """The chat template of `model`; a training's own holds."""
    bits: Literal[2, 3, 4, 8] | None = None
    """Quantised with GPTQ."""
    calibration: str | None = None
    """A dataset of plain text that GPTQ measures with."""
    args: Mapping[str, Any] = {}


class Tls(Section):
    """A certificate and its key: PEM files, relative to kit.yaml."""

    cert: str
    """The certificate, and after it those that signed it."""
    key: str
    """Its private key, readable by its owner alone, without a passphrase."""


class ServeJob(GpuJob):
    """An OpenAI-compatible endpoint for a model, or for what an export job made."""

    kind: Literal["serve"]
    engine: Literal["vllm", "sglang"] = "vllm"
    model: str
    adapters: tuple[str, ...] = ()
    """Train jobs whose LoRA adapters are served beside the model, each under its job's name."""
    hosts: tuple[str, ...] = Field(min_length=1)
    """Several when one has too few GPUs; the first has the endpoint."""
    tensor_parallel: int = Field(default=1, ge=1)
    pipeline_parallel: int = Field(default=1, ge=1)
    max_model_len: int | None = Field(default=None, ge=1)
    max_num_seqs: int | None = Field(default=None, ge=1)
    """Requests that are computed at a time."""
    quantization: str | None = None
    """How the model's weights are quantised: `awq`, `gptq`, `fp8` … in the words of the engine's version."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = None
    reasoning: str | None = None
    served_name: str | None = None
    bind: str = "127.0.0.1"
    port: Port = 8000
    api_key_file: str | None = None
    """A file, relative to kit.yaml, with the key that requests must bring."""
    tls: Tls | None = None
    cluster_port: Port = 6379
    """Where several hosts meet, on the first one."""
    args: Mapping[str, Any] = {}
    """The engine's own flags, without the leading dashes."""


class ProxyJob(JobBase):
    """One address for several serve jobs of the same model; those that do not answer are passed by."""

    kind: Literal["proxy"]
    to: tuple[str, ...] = Field(min_length=1)
    hosts: tuple[str, ...] = Field(min_length=1, max_length=1)
    bind: str = "127.0.0.1"
    port: Port = 8080
    tls: Tls | None = None


class DataJob(JobBase):
    """easy-dataset, a web tool that turns documents into training data."""

    kind: Literal["data"]
    hosts: tuple[str, ...] = Field(min_length=1, max_length=1)
    bind: str = "127.0.0.1"
    port: Port = 1717


class TalkJob(GpuJob):
    """LLaMA-Factory itself answers, with a model, or with what a train job made of its model."""

    model: str | None = None
    from_: str | None = Field(default=None, alias="from")
    """A train job, in place of `model`; its model and chat template hold."""
    hosts: tuple[str, ...] = Field(min_length=1, max_length=1)
    template: str | None = None
    args: Mapping[str, Any] = {}
    """LLaMA-Factory's own arguments."""


class ApiJob(TalkJob):
    """LLaMA-Factory's own OpenAI-style endpoint."""

    kind: Literal["api"]
    served_name: str | None = None
    bind: str = "127.0.0.1"
    port: Port = 8000
    api_key_file: str | None = None
    """A file, relative to kit.yaml, with the key that requests must bring."""


class ChatJob(TalkJob):
    """LLaMA-Factory's own chat at a terminal."""

    kind: Literal["chat"]


class BoardJob(GpuJob):
    """LLaMA Board, LLaMA-Factory's window in a browser; what is trained in it runs in its container."""

    kind: Literal["board"]
    models: tuple[str, ...] = Field(min_length=1)
    """Models that it finds; the first one is filled in."""
    datasets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = Field(min_length=1, max_length=1)
    bind: str = "127.0.0.1"
    port: Port = 7860


class AskingJob(JobBase):
    """Puts the rows of a dataset to what is served; runs where that is, unless `hosts` says otherwise."""

    dataset: str = ""
    system: str | None = None
    """In place of what the dataset itself tells the model beforehand."""
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    concurrency: int = Field(default=8, ge=1, le=512)
    """Questions under way at the same time."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first rows."""
    args: Mapping[str, Any] = {}
    """More of each request's body: `top_p`, `stop`, `chat_template_kwargs` …"""


class InferJob(AskingJob):
    """A served model's answer to every row of a dataset."""

    kind: Literal["infer"]
    dataset: str
    through: str
    """A serve or api job that runs."""
    model: str | None = None
    """A name that it serves; otherwise its model's."""


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class EvalJob(AskingJob):
    """The answers of several models to the same rows, side by side, with BLEU and ROUGE."""

    kind: Literal["eval"]
    through: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(min_length=1)
    """Serve or api jobs that run; the others are held against the first one's model."""
    models: tuple[str, ...] = ()
    """Names that they serve, in the order of the columns; all when left out."""
    suites: tuple[str, ...] = ()
    """Datasets of the form `choices`, in place of `dataset`: how often each model picks the right answer."""
    shots: int = Field(default=0, ge=0, le=64)
    """So many of the first rows of each subject stand, solved, before every question, and are not asked."""

    @model_validator(mode="before")
    @classmethod
    def _suites_by_name(cls, given: Any) -> Any:
        asked = [key for key in ("tasks", "task", "benchmarks") if key in given]
        if asked:
            raise ValueError(
                f"{asked[0]}: nothing is fetched on the intranet; give the questions of MMLU, C-Eval or "
                "CMMLU as datasets of format choices, and name those in suites"
            )
        return given

    @model_validator(mode="after")
    def _one_way(self) -> EvalJob:
        if bool(self.dataset) == bool(self.suites):
            raise ValueError("name one of `dataset` (answers in words) and `suites` (questions with choices)")
        if not self.suites:
            if self.shots:
                raise ValueError("shots: solved questions stand before those of suites alone; remove it")
            return self
        idle = ("system", "max_tokens", "temperature", "args")
        chosen = [key for key in idle if key in self.model_fields_set]
        if chosen:
            raise ValueError(f"{chosen[0]}: no answers to suites are written; their choices are measured")
        return self


Job = Annotated[
    TrainJob | ExportJob | ServeJob | ProxyJob | DataJob | ApiJob | ChatJob | BoardJob | InferJob | EvalJob,
    Field(discriminator="kind"),
]
