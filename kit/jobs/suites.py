"""Jobs of kind eval with suites: which choice of a question a served model finds likeliest, through lm-eval.

Each question is one request for one token, out of its letters alone (`allowed_token_ids` of vLLM's
/v1/completions); see docs/decisions/0031.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.asking import (
    EARLIER,
    KEYS,
    PROGRESS,
    asked_endpoints,
    asking_launch,
    chosen_models,
    json_text,
    keys_of,
)
from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import dataset_file
from kit.jobs.places import DATA, MODELS, RUN, Mount, dataset_folder, model_folder
from kit.jobs.secrets import PRIVATE
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.project.job_model import ApiJob, EvalJob, ProxyJob, ServeJob
from kit.project.references import hosts_of, shipped_model

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.model import Project

_CODE = "lm-eval"
_PREPARED = "suites"
"""Folder of a run for tasks and questions as lm-eval reads them."""


def eval_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of an eval job, with a dataset or with suites. Raises ConfigError."""
    job = project.jobs[name]
    assert isinstance(job, EvalJob)  # noqa: S101 - whoever calls has looked at its kind
    if not job.suites:
        return asking_launch(project, name, run_id, context)
    hosts = hosts_of(project, name)
    if len(hosts) != 1:
        raise ConfigError("it runs on one host", where=f"jobs.{name}.hosts", fix=f"hosts: [{hosts[0]}]")
    place = Place(project, name, run_id, hosts[0], context)
    check_suites(project, name)
    models = dict.fromkeys(shipped_model(project, through) for through in job.through)
    work = Work(
        command=("python3", f"{RUN}/{_CODE}/run_suites.py", RUN, EARLIER),
        environment=merge_environment(name, {"CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}, job.env),
        mounts=(
            *(Mount(dataset_folder(place.spec, suite), f"{DATA}/{suite}") for suite in job.suites),
            *(Mount(model_folder(place.spec, model), f"{MODELS}/{model}") for model in models),
            Mount(str(PurePosixPath(place.run_folder).parent), EARLIER),
        ),
    )
    share = host_launch(place, service_of(place, work), _files(place, job), (*FOLDERS, PROGRESS, _PREPARED))
    return Launch(job=name, kind=job.kind, run_id=run_id, hosts=(share,), rank_zero=place.host)


def check_suites(project: Project, name: str) -> None:
    """Raise ConfigError for an eval job with suites that what it asks cannot answer."""
    job = project.jobs[name]
    if not isinstance(job, EvalJob) or not job.suites:
        return
    for through in job.through:
        asked = project.jobs[through]
        serve = project.jobs[asked.to[0]] if isinstance(asked, ProxyJob) else asked
        where = f"jobs.{name}.through"
        if isinstance(serve, ApiJob):
            raise ConfigError(
                f"{through} cannot be held to the letters of the choices",
                where=where,
                why="LLaMA-Factory's own endpoint has no /v1/completions",
                fix="a job of kind serve with the same model",
            )
        if isinstance(serve, ServeJob) and serve.engine != "vllm":
            raise ConfigError(
                f"suites are measured through vLLM, and {through} is {serve.engine}",
                where=where,
                why="the pinned SGLang knows no allowed_token_ids, and does not act on logit_bias",
                fix="engine: vllm in a job of kind serve with the same model",
            )
        if getattr(asked, "tls", None) is not None:
            raise ConfigError(
                f"{through} speaks HTTPS with a certificate of its own",
                where=where,
                why="lm-eval knows no such certificate",
                fix="a job of kind serve without tls, on the loopback of its host, for the suites",
            )


def _files(place: Place, job: EvalJob) -> tuple[LaunchFile, ...]:
    asked = chosen_models(place.project, place.name, job)
    endpoints = [
        {
            "name": one["name"],
            "url": one["url"],
            "model": one["model"],
            "identity": one["identity"],
            "tokenizer": _tokenizer(place, through),
        }
        for one, (through, _) in zip(asked_endpoints(place, job), asked, strict=True)
    ]
    return (
        LaunchFile("suites.json", json_text(_settings(place.project, job))),
        LaunchFile("endpoints.json", json_text(endpoints)),
        LaunchFile(KEYS, json_text(keys_of(place, job)), PRIVATE),
        *_code(),
    )


def _tokenizer(place: Place, through: str) -> str:
    return f"{MODELS}/{shipped_model(place.project, through)}"


def _settings(project: Project, job: EvalJob) -> dict[str, Any]:
    suites = [
        {
            "name": suite,
            "file": dataset_file(suite, project.datasets[suite]),
            "columns": dict(project.datasets[suite].columns),
        }
        for suite in job.suites
    ]
    return {"suites": suites, "shots": job.shots, "limit": job.limit, "concurrency": job.concurrency}


def _code() -> tuple[LaunchFile, ...]:
    folder = data_folder("templates") / _CODE
    return tuple(
        LaunchFile(f"{_CODE}/{path.name}", path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.py"))
    )
