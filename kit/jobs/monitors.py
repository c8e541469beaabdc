"""Trackers of a training without a cloud: they write into the run's folder, and call no server outside.

`kit collect` brings their files home, where they are looked at or synced. A server is spoken to only where
kit.yaml names it, or the proxy to it, in the job's own `env`. Sources: integrations/integration_utils.py of
transformers 4.52.4 and 5.6.0; wandb 0.20 and 0.31; swanlab 0.6.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.jobs.places import RUN
from kit.jobs.versions import release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.job_model import TrainJob

FOLDER = "monitors"
"""Folder of a run that the trackers write into."""
_PLACE = f"{RUN}/{FOLDER}"
TENSORBOARD, WANDB, SWANLAB = "tensorboard", "wandb", "swanlab"
TRACKERS = (TENSORBOARD, WANDB, SWANLAB)
_ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    TENSORBOARD: {"TENSORBOARD_LOGGING_DIR": f"{_PLACE}/{TENSORBOARD}"},
    # wandb makes a folder `wandb` in it.
    WANDB: {"WANDB_MODE": "offline", "WANDB_DIR": _PLACE, "WANDB_DISABLE_GIT": "true"},
    SWANLAB: {"SWANLAB_MODE": "offline", "SWANLAB_LOG_DIR": f"{_PLACE}/{SWANLAB}"},
}
_SILENT = {WANDB: ("offline", "disabled", "dryrun"), SWANLAB: ("offline", "disabled")}
"""Modes in which a tracker calls nobody. SwanLab's `local` wants a package that the image does not have."""
_MODE = {WANDB: "WANDB_MODE", SWANLAB: "SWANLAB_MODE"}
_SERVER = {
    WANDB: ("HTTPS_PROXY", "https_proxy", "WANDB_BASE_URL"),
    SWANLAB: ("HTTPS_PROXY", "https_proxy", "SWANLAB_API_HOST"),
}
"""Variables that say which way leads to a tracker's server."""


def trackers_of(args: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the trackers that a job's `args` ask for."""
    wanted = args.get("report_to", "none")
    named = wanted if isinstance(wanted, list | tuple) else [wanted]
    return tuple(str(name) for name in named if name not in ("none", None))


def check_monitors(name: str, job: TrainJob) -> None:
    """Raise ConfigError for a tracker that would call a server that kit.yaml does not name."""
    key = f"jobs.{name}.args"
    wanted = trackers_of(job.args)
    strange = [tracker for tracker in wanted if tracker not in TRACKERS]
    if strange:
        raise ConfigError(
            "report_to cannot be used here",
            where=f"{key}.report_to",
            why=f"{strange[0]!r} is none of the trackers that kit keeps from calling servers outside",
            fix=f"report_to: none, or some of {', '.join(TRACKERS)}",
        )
    own = next((argument for argument in job.args if argument.startswith(("use_swanlab", "swanlab_"))), None)
    if own is not None:
        raise ConfigError(
            f"{own} cannot be used here",
            where=f"{key}.{own}",
            why="it asks for SwanLab's cloud, or a mode that wants another package",
            fix="report_to: swanlab, which writes offline; SWANLAB_PROJECT and its like go into env",
        )
    for tracker in set(wanted) & _MODE.keys():
        _check_mode(name, job, tracker)


def _check_mode(name: str, job: TrainJob, tracker: str) -> None:
    variable = _MODE[tracker]
    mode = job.env.get(variable, "offline")
    if mode in _SILENT[tracker] or any(job.env.get(server) for server in _SERVER[tracker]):
        return
    raise ConfigError(
        f"{variable}: {mode} needs a server, and none is named",
        where=f"jobs.{name}.env.{variable}",
        why="there is no way out of the intranet but one that you name",
        fix=f"name {' or '.join(_SERVER[tracker][::2])} there, too; without {variable} it writes offline",
    )


def monitor_environment(job: TrainJob) -> dict[str, str]:
    """Return the variables that keep a job's trackers in the run's folder."""
    found: dict[str, str] = {}
    for tracker in trackers_of(job.args):
        found |= _ENVIRONMENT.get(tracker, {})
    return found


def monitor_arguments(job: TrainJob, version: str) -> dict[str, str]:
    """Return the arguments for the same; older transformers read TensorBoard's folder from one."""
    if TENSORBOARD in trackers_of(job.args) and release(version) < (0, 9, 4):
        return {"logging_dir": f"{_PLACE}/{TENSORBOARD}"}
    return {}


def monitor_folders(job: TrainJob) -> tuple[str, ...]:
    """Return the folders to make inside the run's."""
    return tuple(f"{FOLDER}/{tracker}" for tracker in trackers_of(job.args))
