"""A board job: LLaMA Board, LLaMA-Factory's window in a browser.

It works in the run's folder: `data` describes the datasets; `saves` and `llamaboard_config` hold what people
make and save in it, and outlive the run. What is trained in it runs in its container and ends with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kit.data_files import data_folder
from kit.jobs.environment import CACHE, FOLDERS, merge_environment
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import DATASET_INFO, dataset_info
from kit.jobs.network import LOOPBACK
from kit.jobs.places import DATA, MODELS, RUN, Mount, dataset_folder, kept_folder, model_folder, plain_path
from kit.jobs.render import render
from kit.jobs.serve import check_bind
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.talk import talk_device

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import BoardJob
    from kit.project.model import Project

KEPT = ("saves", "llamaboard_config")
"""Folders where LLaMA Board looks for them: what was trained, and settings that people saved."""
_SCRIPT = "board.py"
"""What `llamafactory-cli webui` does, with a page that asks nobody else."""
_SETTINGS = "llamaboard_cache/user_config.yaml"


def board_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of a board job. Raises ConfigError or UnfitError."""
    place = Place(project, name, run_id, project.jobs[name].hosts[0], context)
    job = cast("BoardJob", place.job)
    check_bind(name, job.bind)
    device, gpus = talk_device(place)
    kept = {folder: kept_folder(place.spec, name, folder) for folder in KEPT}
    ours = {
        "GRADIO_SERVER_NAME": job.bind,
        "GRADIO_SERVER_PORT": str(job.port),
        "GRADIO_SHARE": "0",
        "GRADIO_TEMP_DIR": f"{CACHE}/gradio",
    }
    work = Work(
        command=("python3", f"{RUN}/{_SCRIPT}"),
        environment=merge_environment(name, ours | device, job.env),
        mounts=(*_inputs(place, job), *(Mount(kept[to], f"{RUN}/{to}", read_only=False) for to in KEPT)),
        gpus=gpus,
        names=((place.facts.hostname, LOOPBACK.address),),
    )
    share = host_launch(
        place, service_of(place, work), _files(project, job), (*FOLDERS, *KEPT), tuple(kept.values())
    )
    return Launch(
        job=name,
        kind=job.kind,
        run_id=run_id,
        hosts=(share,),
        rank_zero=place.host,
        endpoint_port=job.port,
        endpoint_bind=job.bind,
    )


def _inputs(place: Place, job: BoardJob) -> tuple[Mount, ...]:
    models = (
        Mount(plain_path(model_folder(place.spec, model), f"model {model}"), f"{MODELS}/{model}")
        for model in job.models
    )
    return (*models, *(Mount(dataset_folder(place.spec, data), f"{DATA}/{data}") for data in job.datasets))


def _files(project: Project, job: BoardJob) -> tuple[LaunchFile, ...]:
    datasets = {dataset: project.datasets[dataset] for dataset in job.datasets}
    settings = render("llamafactory/board.yaml.j2", {"path": f"{MODELS}/{job.models[0]}"})
    script = (data_folder("templates") / "llamafactory" / _SCRIPT).read_text(encoding="utf-8")
    return (
        LaunchFile(f"data/{DATASET_INFO}", dataset_info(datasets)),
        LaunchFile(_SETTINGS, settings),
        LaunchFile(_SCRIPT, script),
    )
