"""From which checkpoint a training goes on, and which of its files each host needs. Pure.

Who writes what: the Trainer's rank zero writes weights, trainer_state.json (last of all) and, without
DeepSpeed, optimizer.pt and scheduler.pt; every rank its rng_state. DeepSpeed's ranks write a shard of the
optimizer each (stages 1 to 3), under stage 3 one of the model, too; its rank zero the rest (transformers'
Trainer._save_checkpoint, deepspeed/runtime/engine.py). A shard fits the same number of ranks and
the same stage alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, UnfitError
from kit.jobs.places import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.project.job_model import TrainJob

_ZERO_3 = 3
_OF_RANK = re.compile(r"(?:^rng_state_|zero_pp_rank_)(\d+)(?:\.pth$|_mp_rank_)")
_SHARD = re.compile(r"zero_pp_rank_(\d+)_mp_rank_00_(optim|model)_states\.pt$")
_WEIGHTS = re.compile(r"^(adapter_)?model(-\d+-of-(\d+))?\.(safetensors|bin)$|^pytorch_model.*\.bin$")
_ADAPTER = re.compile(r"^(adapter_(config\.json|model\.(safetensors|bin))|value_head\.(safetensors|bin))$")
_STATE = "trainer_state.json"
_ADAPTERS = ("lora", "oft")


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint on all hosts together."""

    run_id: str
    step: int
    ranks: int | None
    """Of the run that wrote it; None when nobody knows."""
    zero: int | None
    base: str
    """The model of an adapter, as its training saw it; empty for none."""
    files: Mapping[str, Mapping[str, bool]]
    """Host → path → whether it is whole."""

    @property
    def home(self) -> str | None:
        """The host where rank zero wrote it to the end; None when it did not."""
        return next((host for host, files in self.files.items() if files.get(_STATE)), None)

    def holder(self, path: str) -> str | None:
        """Return a host that has the file whole."""
        return next((host for host, files in self.files.items() if files.get(path)), None)


@dataclass(frozen=True, slots=True)
class Resume:
    """What a training goes on from."""

    run_id: str
    step: int
    adapter_only: bool
    """The adapter alone: optimizer, schedule and the order of the data begin anew."""
    note: str
    """For people; empty when everything goes on as it was."""
    needs: Mapping[str, Mapping[str, str]]
    """Host → path → the host that has it."""


def found_checkpoints(listings: Mapping[str, list[dict[str, Any]]]) -> tuple[Found, ...]:
    """Return the checkpoints that hosts list, newest run first, and in a run the last step first."""
    pairs = {
        (run["run_id"], checkpoint["step"])
        for runs in listings.values()
        for run in runs
        for checkpoint in run["checkpoints"]
    }
    return tuple(_joined(listings, run_id, step) for run_id, step in sorted(pairs, reverse=True))


def _joined(listings: Mapping[str, list[dict[str, Any]]], run_id: str, step: int) -> Found:
    files, base, ranks, zero = {}, "", None, None
    for host, runs in listings.items():
        for run in (run for run in runs if run["run_id"] == run_id):
            ranks, zero = run["ranks"] or ranks, run["zero"] if run["zero"] is not None else zero
            for checkpoint in (each for each in run["checkpoints"] if each["step"] == step):
                files[host] = {file["path"]: bool(file["whole"]) for file in checkpoint["files"]}
                base = checkpoint["base"] or base
    return Found(run_id, step, ranks, zero, base, files)


def choose_checkpoint(
    name: str, job: TrainJob, found: tuple[Found, ...], ranks: Mapping[str, tuple[int, ...]]
) -> Resume:
    """Return what the job goes on from: the newest whole checkpoint. `ranks` maps its hosts to their ranks.

    Raises UnfitError when there is none, ConfigError when the job cannot go on from it.
    """
    check_resumable(name, job)
    broken: list[str] = []
    for checkpoint in found:
        unfit = _unfit(job, checkpoint, sum(map(len, ranks.values())))
        why = _broken(checkpoint, adapter_only=bool(unfit))
        if not why:
            return _resume(name, job, checkpoint, ranks, unfit=unfit, passed_by=tuple(broken))
        broken.append(f"checkpoint-{checkpoint.step} of run {checkpoint.run_id}: {why}")
    raise UnfitError(
        f"no whole checkpoint of {name} to go on from",
        where=", ".join(ranks),
        why="; ".join(broken) or "no run of it left one there",
        fix=f"kit up {name} without --resume begins anew; save_steps in its args says how often it saves",
    )


def check_resumable(name: str, job: TrainJob) -> None:
    """Raise ConfigError for a training that nothing can resume."""
    stage, method = job.args.get("stage", "sft"), job.args.get("finetuning_type", "lora")
    if stage == "ppo":
        raise ConfigError(
            "stage ppo cannot go on from a checkpoint",
            where=f"jobs.{name}.args.stage",
            why="LLaMA-Factory's PPO knows no way to",
            fix=f"kit up {name} without --resume",
        )
    if stage == "rm" and method not in _ADAPTERS:
        raise ConfigError(
            f"stage {stage} with finetuning_type {method} cannot go on from a checkpoint",
            where=f"jobs.{name}.args.stage",
            why="LLaMA-Factory would begin anew, with a warning",
            fix=f"kit up {name} without --resume, or finetuning_type: lora",
        )
    if job.args.get("fsdp"):
        raise ConfigError(
            "a training with FSDP cannot go on from a checkpoint",
            where=f"jobs.{name}.args.fsdp",
            why="kit cannot tell whether its checkpoints are whole",
            fix=f"kit up {name} without --resume, or zero: 3 in place of FSDP",
        )


def _broken(found: Found, *, adapter_only: bool) -> str:
    """Return what is missing of a checkpoint; empty when it is whole, or what is needed of it is."""
    home = found.home
    if home is None:
        return f"no whole {_STATE}, which is written last"
    half = [
        f"{host}:{path}"
        for host, files in found.files.items()
        for path in files
        if not files[path] and (not adapter_only or (host == home and _WEIGHTS.match(path)))
    ]
    if half:
        return f"{half[0]} is cut short"
    here = found.files[home]
    weights = [match for match in map(_WEIGHTS.match, here) if match]
    if not weights or any(match[3] and int(match[3]) != len(weights) for match in weights):
        return f"weights are missing on {home}"
    if adapter_only:
        return ""
    missing = [path for path in _state_files(found) if found.holder(path) is None]
    return f"{missing[0]} is on none of the hosts" if missing else ""


def _state_files(found: Found) -> Iterator[str]:
    """Yield the files that hold the state of optimizer and schedule."""
    if found.zero is None:
        yield from ("optimizer.pt", "scheduler.pt")
        return
    folder, shards = (
        f"global_step{found.step}",
        [match for match in map(_SHARD.search, _paths(found)) if match],
    )
    yield "latest"
    if found.zero < _ZERO_3:
        yield f"{folder}/mp_rank_00_model_states.pt"
    if found.zero:
        names = {int(match[1]): match.string for match in shards if match[2] == "optim"}
        for rank in range(found.ranks or len(names)):
            yield names.get(rank, f"{folder}/zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")


def _paths(found: Found) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for files in found.files.values() for path in files))


def _resume(
    name: str,
    job: TrainJob,
    found: Found,
    ranks: Mapping[str, tuple[int, ...]],
    *,
    unfit: str,
    passed_by: tuple[str, ...],
) -> Resume:
    _check_model(name, job, found)
    if unfit and not found.base:
        raise ConfigError(
            f"the state in checkpoint-{found.step} does not fit: {unfit}",
            where=f"jobs.{name}",
            why="of a whole model neither the Trainer nor DeepSpeed takes it apart for other ranks",
            fix=f"{_as_it_was(found)} as before, or kit up {name} without --resume",
        )
    notes = [f"passed by {text}" for text in passed_by]
    if unfit:
        notes.append(
            f"{unfit}: only the adapter goes on; optimizer, schedule and order of the data begin anew"
        )
    return Resume(
        run_id=found.run_id,
        step=found.step,
        adapter_only=bool(unfit),
        note="; ".join(notes),
        needs={host: dict(_needs(found, own, adapter_only=bool(unfit))) for host, own in ranks.items()},
    )


def _as_it_was(found: Found) -> str:
    ranks = f"{found.ranks} ranks" if found.ranks else "the ranks"
    return f"{ranks} with zero: {'null' if found.zero is None else found.zero}"


def _check_model(name: str, job: TrainJob, found: Found) -> None:
    adapts = job.args.get("finetuning_type", "lora") in _ADAPTERS
    if found.base and found.base != f"{MODELS}/{job.model}":
        what = f"checkpoint-{found.step} is an adapter of {found.base.removeprefix(f'{MODELS}/')}"
        raise ConfigError(f"{what}, not of {job.model}", where=f"jobs.{name}.model", fix=_anew(name))
    if bool(found.base) != adapts:
        holds = "an adapter" if found.base else "a whole model"
        raise ConfigError(
            f"checkpoint-{found.step} holds {holds}",
            where=f"jobs.{name}.args.finetuning_type",
            why="the last run trained another way",
            fix=_anew(name),
        )


def _anew(name: str) -> str:
    return f"put it back as it was, or kit up {name} without --resume"


def _unfit(job: TrainJob, found: Found, ranks: int) -> str:
    """Return why the optimizer's state cannot be taken; empty when it can."""
    if job.args.get("stage") == "rm":
        return "a reward model's head goes on with its adapter alone"
    if job.zero != found.zero:
        before = "without DeepSpeed" if found.zero is None else f"under ZeRO-{found.zero}"
        return f"it was written {before}"
    if found.zero and found.ranks != ranks:
        return f"it was written by {found.ranks} ranks, and there are {ranks} now"
    return ""


def _needs(found: Found, ranks: tuple[int, ...], *, adapter_only: bool) -> Iterator[tuple[str, str]]:
    home = found.home or ""
    for path in _paths(found):
        rank = _OF_RANK.search(path)
        wanted = _ADAPTER.match(path) if adapter_only else rank is None or int(rank[1]) in ranks
        if wanted:
            yield path, home if rank is None else found.holder(path) or home
