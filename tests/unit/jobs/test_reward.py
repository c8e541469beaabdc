from __future__ import annotations

from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.jobs.check_arguments import argument_errors
from kit.jobs.launch import AdapterShape, ModelSource
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from kit.run.needs import hosts_beside, makers_of
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    file_of,
    gpu_document,
    launch_of,
    service_of,
)

MADE = "/aisys/kit/runs/judge/20251231-000000-0000/out"


def _made(
    made: dict[str, Any] | None = None,
    *,
    judge: dict[str, Any] | None = None,
    args: dict[str, Any] | None = None,
    **job: Any,
) -> dict[str, Any]:
    made = made or gpu_document()
    pairs = {"ranking": True, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}}
    made["datasets"]["pairs"] = {"path": "data/pairs.json", **pairs}
    shared = {"kind": "train", "model": "tiny"}
    rm = {"stage": "rm", **(judge or {})}
    made["jobs"]["judge"] = {**shared, "datasets": ["pairs"], "hosts": ["gpu2"], "args": rm}
    made["jobs"]["ppo"] = {
        **shared,
        "datasets": ["questions"],
        "hosts": ["gpu1", "gpu2"],
        "reward": "judge",
        **job,
        "args": {"stage": "ppo", **(args or {})},
    }
    return made


def _arguments(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file_of(launch_of(made, "ppo").hosts[0], "train.yaml"))
    return {key: value for key, value in found.items() if key.startswith("reward_model")}


@pytest.mark.parametrize("method", ["lora", "full", "freeze"])
def test_what_was_trained_is_mounted_on_every_host(method: str) -> None:
    for share in launch_of(_made(judge={"finetuning_type": method}), "ppo").hosts:
        mounts = {mount["target"]: mount for mount in service_of(share)["volumes"]}
        assert mounts["/kit/reward/judge"]["source"] == MADE
        assert mounts["/kit/reward/judge"]["read_only"] is True


def test_an_adapter_goes_beside_the_one_that_is_trained() -> None:
    assert _arguments(_made()) == {"reward_model": "/kit/reward/judge", "reward_model_type": "lora"}


@pytest.mark.parametrize("method", ["full", "freeze"])
def test_an_adapter_beside_a_whole_training_has_a_model_of_its_own(method: str) -> None:
    assert _arguments(_made(args={"finetuning_type": method})) == {
        "reward_model": "/kit/models/tiny",
        "reward_model_type": "full",
        "reward_model_adapters": "/kit/reward/judge",
    }


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_whole_reward_model_is_one_of_its_own(method: str) -> None:
    made = _made(judge={"finetuning_type": "full"}, args={"finetuning_type": method})
    assert _arguments(made) == {"reward_model": "/kit/reward/judge", "reward_model_type": "full"}


def test_it_is_brought_from_where_it_was_made() -> None:
    project = parse_project(_made(hosts=["gpu1"]))
    assert makers_of(project, "ppo") == ("judge",)
    assert hosts_beside(project, "ppo") == ("gpu2",)


def test_other_trainings_need_none() -> None:
    project = parse_project(_made())
    assert makers_of(project, "judge") == makers_of(project, "train") == ()
    mounts = service_of(launch_of(_made(), "train").hosts[0])["volumes"]
    assert not [mount for mount in mounts if mount["target"].startswith("/kit/reward")]


def test_tokenising_first_names_it_too_or_the_stage_would_be_refused() -> None:
    share = launch_of(_made(tokenize_first=True), "ppo").hosts[0]
    first = file_of(share, "tokenize.yaml")
    assert yaml.safe_load(first)["reward_model"] == "/kit/reward/judge"


def test_before_it_was_trained_the_job_to_run_is_named() -> None:
    project = parse_project(_made())
    context = context_of(project)
    del context.sources["judge"]  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="has not made anything yet") as caught:
        make_launch(project, "ppo", RUN_ID, context)
    assert caught.value.fix == "kit up judge"


def test_an_adapter_of_another_model_is_refused() -> None:
    project = parse_project(_made())
    context = context_of(project)
    shape = AdapterShape(8, "/kit/models/older")
    context.sources["judge"] = ModelSource("judge", MADE, adapter=shape)  # type: ignore[index]
    with pytest.raises(ConfigError, match="'older'") as caught:
        make_launch(project, "ppo", RUN_ID, context)
    assert caught.value.where == "jobs.ppo.reward"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_made(reward="nobody"), "no train job of stage rm named 'nobody'; known: judge"),
        (_made(reward="merge"), "no train job of stage rm named 'merge'"),
        (_made(reward="train"), "train trains in stage sft"),
        (_made(reward="ppo"), "ppo trains in stage ppo"),
        (_made(args={"stage": "sft"}), "stage sft asks no reward model"),
        (_made(model="other", made={**gpu_document(), "models": {
            name: {"source": "folder", "path": "m"} for name in ("tiny", "other")
        }}), "judges with 'tiny'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(made: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_project(made)
    assert "jobs.ppo.reward" in str(caught.value)


@pytest.mark.parametrize(
    ("made", "where"),
    [
        (_made(args={"reward_model": "saves/rm"}), "args.reward_model"),
        (_made(args={"reward_model_type": "lora"}), "args.reward_model_type"),
        (_made(args={"train_from_scratch": True}), "reward"),
        (_made(judge={"pissa_init": True}), "reward"),
        (_made(judge={"add_tokens": "<a>"}), "reward"),
        (_made(args={"val_size": 0.1}), "args.val_size"),
        (_made(document()), "args.stage"),
    ],
)
def test_what_could_not_judge_is_refused_before_anything_starts(made: dict[str, Any], where: str) -> None:
    (error,) = argument_errors(parse_project(made), "ppo")
    assert error.where == f"jobs.ppo.{where}"
    assert error.fix


def test_converted_pissa_is_an_adapter_like_others() -> None:
    made = _made(judge={"pissa_init": True, "pissa_convert": True})
    assert argument_errors(parse_project(made), "ppo") == ()
