"""An api job: LLaMA-Factory's own OpenAI-style endpoint, for a model or an adapter as it was trained.

It computes with transformers, one request at a time: for a look at what was learned, not for many users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import arguments_yaml
from kit.jobs.network import LOOPBACK
from kit.jobs.places import RUN
from kit.jobs.secrets import key_files, with_key
from kit.jobs.serve import check_names
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.talk import talk_arguments, talk_device
from kit.jobs.versions import pinned

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import ApiJob
    from kit.project.model import Project

FILE = "api.yaml"


def api_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of an api job. Raises ConfigError or UnfitError."""
    place = Place(project, name, run_id, project.jobs[name].hosts[0], context)
    job = cast("ApiJob", place.job)
    served = job.served_name or job.model or job.from_ or name
    check_names(name, job.bind, served)
    version = pinned(project, "llamafactory", f"jobs.{name}")
    arguments, mounts = talk_arguments(place, job)
    device, gpus = talk_device(place)
    ours = {
        "API_HOST": job.bind,
        "API_PORT": str(job.port),
        "API_MODEL_NAME": served,
        # Otherwise every question stands in the log.
        "API_VERBOSE": "0",
    }
    work = Work(
        command=_command(job),
        environment=merge_environment(name, ours | device, job.env),
        mounts=mounts,
        gpus=gpus,
        names=((place.facts.hostname, LOOPBACK.address),),
    )
    files = (LaunchFile(FILE, arguments_yaml(name, arguments, version)), *key_files(job, context))
    return Launch(
        job=name,
        kind=job.kind,
        run_id=run_id,
        hosts=(host_launch(place, service_of(place, work), files, FOLDERS),),
        rank_zero=place.host,
        endpoint_port=job.port,
        endpoint_bind=job.bind,
        served_name=served,
    )


def _command(job: ApiJob) -> tuple[str, ...]:
    if job.api_key_file is None:
        return ("llamafactory-cli", "api", f"{RUN}/{FILE}")
    # The same as a module: it looks for its key among its variables, which nobody else shall see.
    return with_key(job, ("python3", "-m", "llamafactory.cli", "api", f"{RUN}/{FILE}"))
