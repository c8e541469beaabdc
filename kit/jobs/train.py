"""A train job: LLaMA-Factory under torchrun, one container a host, one process a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kit.jobs.deepspeed import FILE as DEEPSPEED
from kit.jobs.deepspeed import check_zero, deepspeed_json
from kit.jobs.elastic import check_elastic, elastic_environment, hosts_to_lose
from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.holdings import meeting_port, place_gpus
from kit.jobs.launch import HostLaunch, Launch, LaunchFile
from kit.jobs.llamafactory import DATASET_INFO, arguments_yaml, dataset_info
from kit.jobs.monitors import monitor_arguments, monitor_environment, monitor_folders
from kit.jobs.network import Route, socket_environment, training_routes
from kit.jobs.places import DATA, MODELS, OUT, RESUME, RUN, Mount, dataset_folder, model_folder
from kit.jobs.reward import reward_arguments, reward_mounts
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.tokenize_first import TOKENS_PATH, WAIT_SECONDS, first_command, first_files, is_first
from kit.jobs.train_arguments import check_template, own_train_arguments
from kit.jobs.versions import has_gpus, pinned

if TYPE_CHECKING:
    from kit.jobs.gpus import GpuRequest
    from kit.jobs.launch import LaunchContext, ResumePoint
    from kit.project.job_model import TrainJob
    from kit.project.model import Project

FILE = "train.yaml"
# Long enough to tokenise a large dataset on rank 0 while the others wait, short enough to end a hang.
_TIMEOUT_SECONDS = 10800

NAME_SERVICE = "nsswitch.conf"
_FILES_ONLY = """\
# PyTorch's store asks for the names behind IPv4 addresses in their IPv6 form, which no hosts file answers.
# Without a resolver each such question would wait for its time-out.
passwd: files
group: files
hosts: files
"""


def train_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of a train job. Raises ConfigError or UnfitError."""
    job = cast("TrainJob", project.jobs[name])
    check_zero(name, job)
    files = _files(project, name, job, context)
    routes = training_routes(project, job.hosts, context)
    check_elastic(name, job, routes)
    places = tuple(Place(project, name, run_id, host, context) for host in job.hosts)
    first = places[0]
    port = meeting_port(job.port, first.host, first.facts, first.compose_project)
    shares = tuple(_share(place, routes, files, port) for place in places)
    return Launch(
        job=name,
        kind=job.kind,
        run_id=run_id,
        hosts=shares,
        rank_zero=job.hosts[0],
        may_lose=hosts_to_lose(job),
    )


def _files(project: Project, name: str, job: TrainJob, context: LaunchContext) -> tuple[LaunchFile, ...]:
    datasets = {dataset: project.datasets[dataset] for dataset in job.datasets}
    version = pinned(project, "llamafactory", f"jobs.{name}")
    arguments = train_arguments(name, job, gpus=has_gpus(project), version=version)
    arguments |= reward_arguments(project, job)
    if context.resume is not None:
        arguments |= _resume_arguments(context.resume)
    before: tuple[LaunchFile, ...] = ()
    if is_first(job, context.data_bytes):
        before = first_files(name, arguments, version, context.facts, FILE)
        arguments["tokenized_path"] = TOKENS_PATH
    files = [
        *before,
        LaunchFile(NAME_SERVICE, _FILES_ONLY),
        LaunchFile(FILE, arguments_yaml(name, arguments, version)),
        LaunchFile(DATASET_INFO, dataset_info(datasets)),
    ]
    if job.zero is not None:
        files.append(LaunchFile(DEEPSPEED, deepspeed_json(job, gpus=has_gpus(project))))
    return tuple(files)


def train_arguments(name: str, job: TrainJob, *, gpus: bool, version: str) -> dict[str, Any]:
    """Return LLaMA-Factory's arguments: sensible defaults, the user's own, then what kit owns."""
    check_template(f"jobs.{name}.template", job.template, version)
    own = own_train_arguments(name, job, gpus=gpus)
    defaults: dict[str, Any] = {
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "cutoff_len": 2048,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "cosine",
        "num_train_epochs": 3,
        "logging_steps": 10,
        "save_steps": 500,
        "save_total_limit": 3,
        "plot_loss": True,
        "report_to": "none",
        "ddp_timeout": _TIMEOUT_SECONDS,
    }
    # On a CPU everything stays float32, and `use_cpu` stays out: with it ZeRO-3 does not initialise.
    if gpus and not {"bf16", "fp16", "pure_bf16"} & own.keys():
        defaults["bf16"] = True
    # A reward model's head leaves the model's own unused. Plain DDP then looks for unused parameters, and
    # reentrant checkpointing marks the others twice: it ends at the first step.
    if own.get("stage") == "rm" and job.zero is None and own.get("finetuning_type") in ("full", "freeze"):
        defaults["use_reentrant_gc"] = False
    owned: dict[str, Any] = {
        "model_name_or_path": f"{MODELS}/{job.model}",
        "dataset": ",".join(job.datasets),
        "dataset_dir": RUN,
        "template": job.template,
        "output_dir": OUT,
        "overwrite_output_dir": True,
        **monitor_arguments(job, version),
    }
    if job.zero is not None:
        owned["deepspeed"] = f"{RUN}/{DEEPSPEED}"
    return {**owned, **defaults, **own}


def _resume_arguments(resume: ResumePoint) -> dict[str, Any]:
    path = f"{RESUME}/{resume.checkpoint}"
    # LLaMA-Factory goes on training an adapter that it is given, unless told to make a new one.
    return {"adapter_name_or_path": path} if resume.adapter_only else {"resume_from_checkpoint": path}


def _share(place: Place, routes: dict[str, Route], files: tuple[LaunchFile, ...], port: int) -> HostLaunch:
    job = cast("TrainJob", place.job)
    gpus = place_gpus(place) if has_gpus(place.project) else None
    first = is_first(job, place.context.data_bytes)
    work = Work(
        command=first_command() if first else ("llamafactory-cli", "train", f"{RUN}/{FILE}"),
        environment=merge_environment(place.name, _environment(place, routes, gpus, port), job.env),
        mounts=(
            Mount(f"{place.run_folder}/{NAME_SERVICE}", f"/etc/{NAME_SERVICE}"),
            Mount(model_folder(place.spec, job.model), f"{MODELS}/{job.model}"),
            *(Mount(dataset_folder(place.spec, name), f"{DATA}/{name}") for name in job.datasets),
            *reward_mounts(place),
        ),
        gpus=gpus,
        port=port if place.host == job.hosts[0] else None,
        names=_names(place, routes),
    )
    return host_launch(place, service_of(place, work), files, (*FOLDERS, *monitor_folders(job)))


def _names(place: Place, routes: dict[str, Route]) -> tuple[tuple[str, str], ...]:
    """Return every rank's host, its own first: Gloo and torchrun ask for the names behind addresses."""
    hosts = sorted(routes, key=lambda host: host != place.host)
    return tuple((place.context.facts[host].hostname, routes[host].address) for host in hosts)


def _environment(
    place: Place, routes: dict[str, Route], gpus: GpuRequest | None, port: int
) -> dict[str, str]:
    job, route = cast("TrainJob", place.job), routes[place.host]
    ranks = {
        "FORCE_TORCHRUN": "1",
        "NNODES": str(len(job.hosts)),
        "NODE_RANK": str(job.hosts.index(place.host)),
        "NPROC_PER_NODE": str(gpus.count if gpus else 1),
        "MASTER_ADDR": routes[job.hosts[0]].address,
        "MASTER_PORT": str(port),
        # Otherwise torchrun announces the host's name, which often means 127.0.1.1 there.
        "PET_LOCAL_ADDR": route.address,
        "PET_TEE": "3",
        "PET_LOG_DIR": f"{RUN}/logs",
    }
    if len(job.hosts) > 1 and is_first(job, place.context.data_bytes):
        ranks["PET_RDZV_CONF"] = f"timeout={WAIT_SECONDS},join_timeout={WAIT_SECONDS}"
    device = _gpu_environment(place) if gpus else _cpu_environment(place)
    return {
        **ranks,
        **elastic_environment(job, place.run_id),
        **socket_environment(route),
        **device,
        **monitor_environment(job),
    }


def _gpu_environment(place: Place) -> dict[str, str]:
    return {} if place.spec.p2p else {"NCCL_P2P_DISABLE": "1"}


def _cpu_environment(place: Place) -> dict[str, str]:
    return {
        "CUDA_VISIBLE_DEVICES": "",
        "DS_ACCELERATOR": "cpu",
        # accelerate would say `cpu:0`, where PyTorch cannot load the optimizer of a checkpoint to.
        "ACCELERATE_TORCH_DEVICE": "cpu",
        "OMP_NUM_THREADS": str(place.facts.cores),
    }
