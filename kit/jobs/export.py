"""An export job: merges a trained adapter into its model, on one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kit.errors import ConfigError
from kit.jobs.arguments import own_arguments
from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.holdings import place_gpus
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import arguments_yaml
from kit.jobs.places import DATA, OUT, RUN, Mount, dataset_folder
from kit.jobs.quantise import check_quantising, quantising_arguments
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.talk import trained, untrained
from kit.jobs.train_arguments import check_template
from kit.jobs.versions import has_gpus, pinned
from kit.project.references import hosts_of

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import ExportJob
    from kit.project.model import Project

FILE = "export.yaml"
OWNED = {
    "model_name_or_path": "`from` names the training, and that its model; or `model` does",
    "adapter_name_or_path": "`from` names the training",
    "export_dir": "the run's folder on the host takes it",
    "template": "the training's template holds, or that of the job",
    "finetuning_type": "the training's holds",
    "export_hub_model_id": "there is no hub on the intranet",
    "export_quantization_bit": "`bits` of the job says it",
    "export_quantization_dataset": "`calibration` of the job says it",
}
_DEFAULTS: dict[str, Any] = {
    "export_dir": OUT,
    "export_size": 5,
    "export_device": "cpu",
    "export_legacy_format": False,
}


def export_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of an export job. Raises ConfigError or UnfitError."""
    hosts = hosts_of(project, name)
    if len(hosts) != 1:
        raise ConfigError(
            "an export runs on one host", where=f"jobs.{name}.hosts", fix=f"hosts: [{hosts[0]}]"
        )
    place = Place(project, name, run_id, hosts[0], context)
    job = cast("ExportJob", place.job)
    check_quantising(project, name, job)
    found, mounts = trained(place, job.from_) if job.from_ is not None else untrained(place, job)
    own = own_arguments(name, job.args, OWNED)
    arguments = {**found, **_DEFAULTS, **own, **quantising_arguments(project, job)}
    if job.calibration is not None:
        texts = Mount(dataset_folder(place.spec, job.calibration), f"{DATA}/{job.calibration}")
        mounts = (*mounts, texts)
    version = pinned(project, "llamafactory", f"jobs.{name}")
    check_template(f"jobs.{job.from_ or name}.template", arguments["template"], version)
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
