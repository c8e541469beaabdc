"""The reward model of a training in stage ppo: what another train job, of stage rm, made. Pure.

Source: LLaMA-Factory 0.9.3, create_reward_model (train/trainer_utils.py) and finetuning_args.py. Type `lora`
is a second adapter on the very model that is trained, and goes beside an adapter only. Type `full` is a model
of its own: a folder, or the untrained model and the reward model's adapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kit.errors import ConfigError
from kit.jobs.arguments import is_on, own_arguments
from kit.jobs.places import MODELS, REWARD, Mount

if TYPE_CHECKING:
    from kit.jobs.share import Place
    from kit.project.job_model import TrainJob
    from kit.project.model import Project

_OWNED = dict.fromkeys(
    ("reward_model", "reward_model_type", "reward_model_adapters"), "`reward` of the job says it"
)
_TOKENS = ("resize_vocab", "add_tokens", "add_special_tokens", "new_special_tokens")
"""Both models are given the same ids."""


def check_reward(project: Project, name: str) -> None:
    """Raise ConfigError for a reward model that could not judge what a training says."""
    job = cast("TrainJob", project.jobs[name])
    if job.reward is None:
        return
    own_arguments(name, job.args, _OWNED)
    judge = _judge(project, job)
    if is_on(job.args.get("train_from_scratch")):
        _refuse(
            name, job, "LLaMA-Factory would begin the reward model anew, too", "remove train_from_scratch"
        )
    if is_on(judge.args.get("pissa_init")) and not is_on(judge.args.get("pissa_convert")):
        why = f"the adapter of {job.reward} fits a model that PiSSA changed"
        _refuse(name, job, why, f"pissa_convert: true in jobs.{job.reward}.args")
    for token in _TOKENS:
        if job.args.get(token) != judge.args.get(token):
            why = f"both must have the same tokens, and {token} is not the same in both"
            _refuse(name, job, why, f"the same {token} in jobs.{name}.args and jobs.{job.reward}.args")


def reward_arguments(project: Project, job: TrainJob) -> dict[str, Any]:
    """Return LLaMA-Factory's arguments that name the reward model; none without one."""
    if job.reward is None:
        return {}
    made = f"{REWARD}/{job.reward}"
    if not _has_adapter(_judge(project, job)):
        return {"reward_model": made, "reward_model_type": "full"}
    if _has_adapter(job):
        return {"reward_model": made, "reward_model_type": "lora"}
    base = f"{MODELS}/{job.model}"
    return {"reward_model": base, "reward_model_type": "full", "reward_model_adapters": made}


def reward_mounts(place: Place) -> tuple[Mount, ...]:
    """Return the folder of the reward model on a host. Raises ConfigError before it was trained."""
    job = cast("TrainJob", place.job)
    if job.reward is None:
        return ()
    adapter = _has_adapter(_judge(place.project, job))
    made = place.adapter_of(job.reward, job.model, "reward") if adapter else place.made_by(job.reward)
    return (Mount(made, f"{REWARD}/{job.reward}"),)


def _judge(project: Project, job: TrainJob) -> TrainJob:
    return cast("TrainJob", project.jobs[job.reward or ""])


def _has_adapter(job: TrainJob) -> bool:
    return bool(job.args.get("finetuning_type", "lora") == "lora")


def _refuse(name: str, job: TrainJob, why: str, fix: str) -> None:
    raise ConfigError(
        f"{job.reward} cannot be the reward model here", where=f"jobs.{name}.reward", why=why, fix=fix
    )
