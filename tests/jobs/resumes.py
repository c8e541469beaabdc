"""Rows of trainings that are killed, and go on from their last whole checkpoint."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.jobs.row import RAN, Row, slug
from tests.jobs.trainings import check_training, training

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

STEPS, SAVED_EVERY = 60, 4
SECONDS_TO_SAVE = 240
SAVING = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": SAVED_EVERY}
ALONE = {"hosts": ["gpu1"]}


def kill_once_saved(scene: Scene, name: str, job: dict[str, Any]) -> str:
    """Start a training, kill its containers once it has saved, and return the run's name."""
    definition = scene.define({name: {**job, "port": scene.port}})
    run = scene.kit("up", name, "--detach", definition=definition)["run_id"]
    saved = f"ls {scene.root}/runs/{name}/{run}/out/checkpoint-*/trainer_state.json"
    end = time.monotonic() + SECONDS_TO_SAVE
    while scene.lab.run(job["hosts"][0], ("sh", "-c", saved)).returncode != 0:
        assert time.monotonic() < end, "it saved nothing"
        time.sleep(0.5)
    for host in reversed(job["hosts"]):
        kill = f"docker ps -q --filter label=kit.job={name} | xargs docker kill"
        scene.lab.exec(host, ("sh", "-c", kill))
    return str(run)


def steps_logged(scene: Scene, name: str, job: dict[str, Any]) -> list[int]:
    """Return the steps that the newest run logged."""
    log = scene.read(job["hosts"][0], f"{scene.run_folder(name)}/out/trainer_log.jsonl")
    return [json.loads(line)["current_steps"] for line in log.splitlines()]


def goes_on(options: str, before: dict[str, Any], after: dict[str, Any] | None = None) -> Row:
    """Return the row of a training that is killed and goes on as it was, or as `after` says."""

    def prove(scene: Scene) -> str:
        name = slug(f"resume {options}")
        run = kill_once_saved(scene, name, before)
        job = after or before
        definition = scene.define({name: {**job, "port": scene.port}})
        result = scene.kit("up", name, "--resume", definition=definition)
        source, _, checkpoint = result["resumed_from"].partition("/")
        assert source == run, result
        assert result["resumed_adapter_only"] is False, result
        said = check_training(scene, job, result)
        step = int(checkpoint.removeprefix("checkpoint-"))
        assert min(steps_logged(scene, name, job)) == step + 1, steps_logged(scene, name, job)
        return f"killed; went on from {checkpoint}: {said}"

    return Row("train --resume", options, RAN, prove)


def adapter_goes_on(options: str, before: dict[str, Any], after: dict[str, Any]) -> Row:
    """Return the row of an adapter that goes on where the optimizer's state does not fit."""

    def prove(scene: Scene) -> str:
        name = slug(f"resume {options}")
        kill_once_saved(scene, name, before)
        definition = scene.define({name: {**after, "port": scene.port}})
        result = scene.kit("up", name, "--resume", definition=definition)
        assert result["resumed_adapter_only"] is True, result
        said = check_training(scene, after, result)
        assert min(steps_logged(scene, name, after)) == 1
        return f"killed; the adapter went on, its optimizer anew: {said}"

    return Row("train --resume", options, RAN, prove)


def does_not_go_on(options: str, before: dict[str, Any], after: dict[str, Any]) -> Row:
    """Return the row of a state that fits nothing: kit says so before anything starts."""

    def prove(scene: Scene) -> str:
        name = slug(f"resume {options}")
        kill_once_saved(scene, name, before)
        definition = scene.define({name: {**after, "port": scene.port}})
        code, said = scene.journey.refused("up", name, "--resume", definition=definition)
        error = json.loads(said)["error"]
        assert code == 2, said
        return f"refused with exit code 2: {error['what']}: {error['why']}"

    return Row("train --resume", options, RAN, prove)


ROWS = (
    goes_on("lora, DDP, 2 hosts", training("sft", "lora", SAVING)),
    goes_on("full, ZeRO-2, 2 hosts", training("sft", "full", SAVING, zero=2)),
    goes_on("full, ZeRO-3, offload all, 2 hosts", training("sft", "full", SAVING, zero=3, offload="all")),
    goes_on(
        "full, DDP, from 2 hosts to 1",
        training("sft", "full", SAVING),
        training("sft", "full", SAVING, **ALONE),
    ),
    adapter_goes_on(
        "lora, ZeRO-2, from 2 hosts to 1",
        training("sft", "lora", SAVING, zero=2),
        training("sft", "lora", SAVING, zero=2, **ALONE),
    ),
    does_not_go_on(
        "full, ZeRO-2, from 2 hosts to 1",
        training("sft", "full", SAVING, zero=2),
        training("sft", "full", SAVING, zero=2, **ALONE),
    ),
)
