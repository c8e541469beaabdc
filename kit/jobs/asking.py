"""Jobs that put a dataset's rows to what serve jobs serve: infer keeps the answers, eval compares them.

A few files of Python's own library alone do it, in a container of their own beside the endpoint: nothing
depends on the SSH session that started it.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.arguments import own_arguments
from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import dataset_file
from kit.jobs.places import DATA, RUN, SECRETS, Mount, dataset_folder
from kit.jobs.secrets import PRIVATE
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.project.job_model import EvalJob, InferJob, ProxyJob, ServeJob
from kit.project.references import hosts_of, served_names

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext, ServedEndpoint
    from kit.project.model import DatasetSpec, Project

    AskingJob = InferJob | EvalJob

EARLIER = "/kit/earlier"
"""The runs of the same job; one that was cut off is gone on with."""
PROGRESS = "progress"
STEPS = f"{PROGRESS}/steps.jsonl"
"""How many answers there are; a line at a time, in a run's folder."""
KEYS = f"{SECRETS}/keys.json"
_CODE = "asking"
_PROGRAMS = {"infer": "answer_rows.py", "eval": "compare_rows.py"}
_RETRIES = 3
_PATIENCE_SECONDS = 300
OWNED = {
    "model": "`model` or `models` of the job says it",
    "messages": "they are the rows of the dataset",
    "stream": "an answer is kept once it is whole",
    "n": "one answer a row is kept",
    "max_tokens": "`max_tokens` of the job says it",
    "temperature": "`temperature` of the job says it",
}


def asking_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of an infer or eval job. Raises ConfigError."""
    job = asking_job(project, name)
    hosts = hosts_of(project, name)
    if len(hosts) != 1:
        raise ConfigError("it runs on one host", where=f"jobs.{name}.hosts", fix=f"hosts: [{hosts[0]}]")
    place = Place(project, name, run_id, hosts[0], context)
    spec = project.datasets[job.dataset]
    check_rows(name, job, spec)
    files = (
        LaunchFile("asking.json", json_text(_settings(name, job, spec, run_id))),
        LaunchFile("endpoints.json", json_text(asked_endpoints(place, job))),
        LaunchFile(KEYS, json_text(keys_of(place, job)), PRIVATE),
        *_code(),
    )
    work = Work(
        command=("python3", f"{RUN}/{_CODE}/{_PROGRAMS[job.kind]}", RUN, EARLIER),
        environment=merge_environment(name, {"CUDA_VISIBLE_DEVICES": ""}, job.env),
        mounts=(
            Mount(dataset_folder(place.spec, job.dataset), f"{DATA}/{job.dataset}"),
            Mount(str(PurePosixPath(place.run_folder).parent), EARLIER),
        ),
    )
    share = host_launch(place, service_of(place, work), files, (*FOLDERS, PROGRESS))
    return Launch(job=name, kind=job.kind, run_id=run_id, hosts=(share,), rank_zero=place.host)


def asking_job(project: Project, name: str) -> AskingJob:
    """Return a job that is of kind infer or eval."""
    job = project.jobs[name]
    assert isinstance(job, InferJob | EvalJob)  # noqa: S101 - whoever calls has looked at its kind
    return job


def own_body(name: str, job: AskingJob) -> dict[str, Any]:
    """Return the part of every request that is not the question. Raises ConfigError."""
    body = own_arguments(name, job.args, OWNED)
    body["temperature"] = job.temperature
    if job.max_tokens is not None:
        body["max_tokens"] = job.max_tokens
    return body


def check_rows(name: str, job: AskingJob, spec: DatasetSpec) -> None:
    """Raise ConfigError for a dataset that holds no questions, or is in a form that is not read here."""
    where, suffix = f"jobs.{name}.dataset", PurePosixPath(spec.path).suffix.lower()
    if suffix not in (".json", ".jsonl"):
        fix = "write it as .json or .jsonl"
        raise ConfigError(f"{job.kind} reads JSON and JSONL, not {suffix or 'this'}", where=where, fix=fix)
    if spec.format == "sharegpt" and spec.columns and "messages" not in spec.columns:
        fix = f"name the column of the turns: datasets.{job.dataset}.columns.messages"
        raise ConfigError("its columns do not say where the turns are", where=where, fix=fix)
    if spec.format == "alpaca" and spec.columns and "prompt" not in spec.columns:
        fix = f"name the column of the questions: datasets.{job.dataset}.columns.prompt"
        raise ConfigError("its columns do not say what is asked", where=where, fix=fix)


def _settings(name: str, job: AskingJob, spec: DatasetSpec, run_id: str) -> dict[str, Any]:
    return {
        "run": run_id,
        "dataset": {
            "file": dataset_file(job.dataset, spec),
            "format": spec.format,
            "columns": dict(spec.columns),
            "tags": dict(spec.tags),
            "ranking": spec.ranking,
        },
        "system": job.system,
        "limit": job.limit,
        "body": own_body(name, job),
        "concurrency": job.concurrency,
        "retries": _RETRIES,
        "patience": _PATIENCE_SECONDS,
    }


def asked_endpoints(place: Place, job: AskingJob) -> list[dict[str, Any]]:
    """Return what is asked, in the order of the columns: name, address and identity. Raises ConfigError."""
    asked = chosen_models(place.project, place.name, job)
    models = [model for _, model in asked]
    found = []
    for through, model in asked:
        served = place.context.endpoints[through]
        scheme = "https" if served.tls else "http"
        ours, body = _spelt(place.project, through, model)
        found.append(
            {
                "name": model if models.count(model) == 1 else f"{model} of {through}",
                "url": f"{scheme}://{_address(place, through, served)}:{served.port}",
                "model": ours,
                "body": body,
                "identity": served.identity,
            }
        )
    return found


def keys_of(place: Place, job: AskingJob) -> list[dict[str, str]]:
    """Return what opens each of the endpoints, in the same order."""
    asked = [place.context.endpoints[through] for through, _ in chosen_models(place.project, place.name, job)]
    return [{"api_key": served.api_key, "certificate": served.certificate} for served in asked]


def _spelt(project: Project, through: str, model: str) -> tuple[str, dict[str, str]]:
    """Return the model's name in requests, and what else they say: SGLang knows adapters by another word."""
    job = project.jobs[through]
    serve = project.jobs[job.to[0]] if isinstance(job, ProxyJob) else job
    if isinstance(serve, ServeJob) and serve.engine == "sglang" and model in serve.adapters:
        return served_names(project, through)[0], {"lora_path": model}
    return model, {}


def chosen_models(project: Project, name: str, job: AskingJob) -> tuple[tuple[str, str], ...]:
    """Return (serve job, name in requests) of every model that is asked. Raises ConfigError."""
    throughs = (job.through,) if isinstance(job, InferJob) else job.through
    served = [(through, model) for through in throughs for model in served_names(project, through)]
    if isinstance(job, InferJob):
        wanted: tuple[str, ...] = (job.model,) if job.model is not None else (served[0][1],)
        key = f"jobs.{name}.model"
    else:
        wanted, key = job.models, f"jobs.{name}.models"
    known = [model for _, model in served]
    for model in wanted:
        if model not in known:
            raise ConfigError(
                f"{', '.join(throughs)} does not serve {model!r}",
                where=key,
                why=f"it serves {', '.join(known)}",
                fix=f"one of these, or {key} left out",
            )
    chosen = tuple(pair for model in wanted for pair in served if pair[1] == model) or tuple(served)
    return chosen[:1] if isinstance(job, InferJob) else chosen


def _address(place: Place, through: str, served: ServedEndpoint) -> str:
    """Return where the endpoint of a serve job is reached from the place. Raises ConfigError."""
    bound = ipaddress.ip_address(served.bind)
    if place.host == served.host:
        plain = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(served.bind, served.bind)  # noqa: S104 - none is bound
    elif bound.is_loopback:
        raise ConfigError(
            f"{through} listens on the loopback of {served.host} alone, {place.name} runs on {place.host}",
            where=f"jobs.{place.name}.hosts",
            fix=f"hosts: [{served.host}], or jobs.{through}.bind: an address that {place.host} reaches",
        )
    else:
        plain = place.project.hosts[served.host].address if bound.is_unspecified else served.bind
    return f"[{plain}]" if ":" in plain else plain


def _code() -> tuple[LaunchFile, ...]:
    folder = data_folder("templates") / _CODE
    return tuple(
        LaunchFile(f"{_CODE}/{path.name}", path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.py"))
    )


def json_text(document: Any) -> str:
    """Return a document as a file holds it."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
