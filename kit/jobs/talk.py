"""What LLaMA-Factory answers with: a model, or a model and the adapter that a train job made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kit.jobs.arguments import own_arguments
from kit.jobs.holdings import place_gpus
from kit.jobs.places import ADAPTERS, MODELS, Mount, model_folder
from kit.jobs.train_arguments import check_template
from kit.jobs.versions import has_gpus, pinned

if TYPE_CHECKING:
    from kit.jobs.gpus import GpuRequest
    from kit.jobs.share import Place
    from kit.project.job_model import ExportJob, TalkJob, TrainJob

TEMPLATE = "qwen3"
"""For a job that names a model and no template: what a train job takes, too."""
OWNED = {
    "model_name_or_path": "`model` or `from` of the job says it",
    "adapter_name_or_path": "`from` names the training that made it",
    "template": "`template` of the job says it, or the training's",
    "finetuning_type": "the training's holds",
    "infer_backend": "this image computes with transformers alone; a job of kind serve has vLLM or SGLang",
    "export_dir": "a job of kind export does that",
    "cache_dir": "kit points it into the run's folder",
}
# What changed the model or its tokens in training must be the same when it answers.
_CARRIED = ("trust_remote_code", "resize_vocab", "add_tokens", "add_special_tokens", "new_special_tokens")


def talk_arguments(place: Place, job: TalkJob) -> tuple[dict[str, Any], tuple[Mount, ...]]:
    """Return LLaMA-Factory's arguments, and the folders that they speak of. Raises ConfigError."""
    version = pinned(place.project, "llamafactory", f"jobs.{place.name}")
    own = own_arguments(place.name, job.args, OWNED)
    if job.from_ is not None:
        found, mounts = trained(place, job.from_)
    else:
        found, mounts = untrained(place, job)
    check_template(f"jobs.{place.name}.template", found["template"], version)
    return {**found, "infer_backend": "huggingface", **own}, mounts


def untrained(place: Place, job: TalkJob | ExportJob) -> tuple[dict[str, Any], tuple[Mount, ...]]:
    """Return the arguments that name a job's `model`, and its folder. Raises ConfigError."""
    name = job.model or ""
    source = model_folder(place.spec, name) if name in place.project.models else place.made_by(name)
    path = f"{MODELS}/{name}"
    template = job.template or TEMPLATE
    return {"model_name_or_path": path, "template": template}, (Mount(source, path),)


def trained(place: Place, maker: str) -> tuple[dict[str, Any], tuple[Mount, ...]]:
    """Return the arguments that name what a training made, and its folders. Raises ConfigError."""
    training = cast("TrainJob", place.project.jobs[maker])
    method = str(training.args.get("finetuning_type", "lora"))
    carried = {key: training.args[key] for key in _CARRIED if key in training.args}
    said = {"template": training.template, "finetuning_type": method, **carried}
    if method not in ("lora", "oft"):
        # A full training made a whole model.
        made = Mount(place.made_by(maker), f"{MODELS}/{maker}")
        return {"model_name_or_path": f"{MODELS}/{maker}", **said}, (made,)
    model, adapter = f"{MODELS}/{training.model}", f"{ADAPTERS}/{maker}"
    learned = Mount(place.adapter_of(maker, training.model), adapter)
    mounts = (Mount(model_folder(place.spec, training.model), model), learned)
    return {"model_name_or_path": model, "adapter_name_or_path": adapter, **said}, mounts


def talk_device(place: Place) -> tuple[dict[str, str], GpuRequest | None]:
    """Return the variables for what it computes on, and the GPUs. Raises ConfigError or UnfitError."""
    if has_gpus(place.project):
        return {}, place_gpus(place)
    return {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}, None
