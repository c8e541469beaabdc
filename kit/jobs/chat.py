"""A chat job: LLaMA-Factory's own chat, in a container with a terminal that `kit open` joins."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kit.jobs.environment import FOLDERS, merge_environment
from kit.jobs.launch import Launch, LaunchFile
from kit.jobs.llamafactory import arguments_yaml
from kit.jobs.places import RUN
from kit.jobs.share import Place, Work, host_launch, service_of
from kit.jobs.talk import talk_arguments, talk_device
from kit.jobs.versions import pinned

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import ChatJob
    from kit.project.model import Project

FILE = "chat.yaml"


def chat_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of a chat job. Raises ConfigError or UnfitError."""
    place = Place(project, name, run_id, project.jobs[name].hosts[0], context)
    job = cast("ChatJob", place.job)
    version = pinned(project, "llamafactory", f"jobs.{name}")
    arguments, mounts = talk_arguments(place, job)
    device, gpus = talk_device(place)
    work = Work(
        command=("llamafactory-cli", "chat", f"{RUN}/{FILE}"),
        # A terminal that both ends know, and one that passes on more than ASCII.
        environment=merge_environment(name, {**device, "TERM": "xterm", "LC_ALL": "C.UTF-8"}, job.env),
        mounts=mounts,
        gpus=gpus,
    )
    files = (LaunchFile(FILE, arguments_yaml(name, arguments, version)),)
    share = host_launch(place, service_of(place, work), files, FOLDERS)
    return Launch(job=name, kind=job.kind, run_id=run_id, hosts=(share,), rank_zero=place.host)
