"""An export job: merges a trained adapter into its model, on one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kit.errors import ConfigError
from kit.jobs.arguments import own_arguments
from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.holdings import place_gpus
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import arguments_yaml
from kit.jobs.places import ADAPTERS, MODELS, OUT, RUN, Mount, model_folder
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.train_arguments import check_template
from kit.jobs.versions import has_gpus, pinned
from kit.project.references import hosts_of

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import ExportJob, TrainJob
    from kit.project.model import Project

FILE = "export.yaml"
OWNED = {
    "model_name_or_path": "`from` names the training, and that its model",
    "adapter_name_or_path": "`from` names the training",
    "export_dir": "the run's folder on the host takes it",
    "template": "the training's template holds",
    "finetuning_type": "the training's holds",
    "export_hub_model_id": "there is no hub on the intranet",
    "export_quantization_bit": "LLaMA-Factory merges an adapter or quantises, not both at once",
}
# What changes the model or its tokens in training must be the same when it is merged.
_CARRIED = ("trust_remote_code", "resize_vocab", "add_tokens", "add_special_tokens", "new_special_tokens")


def export_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of an export job. Raises ConfigError or UnfitError."""
    hosts = hosts_of(project, name)
    if len(hosts) != 1:
        raise ConfigError(
            "an export runs on one host", where=f"jobs.{name}.hosts", fix=f"hosts: [{hosts[0]}]"
        )
    place = Place(project, name, run_id, hosts[0], context)
    job = cast("ExportJob", place.job)
    training = cast("TrainJob", project.jobs[job.from_])
    arguments, mounts = _arguments(place, job, training)
    version = pinned(project, "llamafactory", f"jobs.{name}")
    check_template(f"jobs.{job.from_}.template", training.template, version)
    on_gpu = has_gpus(project) and arguments["export_device"] != "cpu"
    work = Work(
        command=("llamafactory-cli", "export", f"{RUN}/{FILE}"),
        environment=merge_environment(name, {} if on_gpu else {"CUDA_VISIBLE_DEVICES": ""}, job.env),
        mounts=mounts,
        gpus=place_gpus(place) if on_gpu else None,
    )
    files = (LaunchFile(FILE, arguments_yaml(name, arguments, version)),)
    share = host_launch(place, service_of(place, work), files, FOLDERS)
    return Launch(job=name, kind=job.kind, run_id=run_id, hosts=(share,), rank_zero=place.host)


def _arguments(place: Place, job: ExportJob, training: TrainJob) -> tuple[dict[str, Any], tuple[Mount, ...]]:
    finetuning = str(training.args.get("finetuning_type", "lora"))
    made = place.made_by(job.from_)
    if finetuning in ("lora", "oft"):
        model, adapter = f"{MODELS}/{training.model}", f"{ADAPTERS}/{job.from_}"
        mounts: tuple[Mount, ...] = (
            Mount(model_folder(place.spec, training.model), model),
            Mount(place.adapter_of(job.from_, training.model), adapter),
        )
        adapters = {"adapter_name_or_path": adapter}
    else:
        # A full training made a whole model; exporting it rewrites its shards and tokenizer.
        model, adapters = f"{MODELS}/{job.from_}", {}
        mounts = (Mount(made, model),)
    carried = {key: training.args[key] for key in _CARRIED if key in training.args}
    return {
        "model_name_or_path": model,
        **adapters,
        "template": training.template,
        "finetuning_type": finetuning,
        "export_dir": OUT,
        "export_size": 5,
        "export_device": "cpu",
        "export_legacy_format": False,
        **carried,
        **own_arguments(place.name, job.args, OWNED),
    }, mounts
