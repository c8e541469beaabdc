"""The row of a training that loses a host on the way."""

from __future__ import annotations

import json
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.trainings import training

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

NAME, STEPS, SECONDS_TO_LEARN = "elastic", 150, 240
JOB = training("sft", "lora", {"max_steps": STEPS}, elastic={"min_hosts": 1})


def _kill_once_it_learns(scene: Scene, running: Future[Any]) -> None:
    end = time.monotonic() + SECONDS_TO_LEARN
    kill = f"docker ps -q --filter label=kit.job={NAME} | xargs docker kill"
    # The link `latest` may still be an earlier run's.
    learning = (
        f"test -s {scene.run_folder(NAME)}/out/trainer_log.jsonl && docker ps -q -f label=kit.job={NAME}"
    )
    while not scene.lab.run("gpu1", ("sh", "-c", learning)).stdout.strip():
        assert not running.done(), running.result()
        assert time.monotonic() < end, "it learns nothing"
        time.sleep(0.3)
    scene.lab.exec("gpu2", ("sh", "-c", kill))


def _prove(scene: Scene) -> str:
    definition = scene.define({NAME: {**JOB, "port": scene.port}})
    scene.lab.exec("gpu1", ("rm", "-rf", f"{scene.root}/runs/{NAME}"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(scene.kit, "up", NAME, definition=definition)
        _kill_once_it_learns(scene, running)
        result = running.result()
    assert (result["state"], result["steps"]) == ("done", STEPS), result
    assert math.isfinite(result["last_loss"]), result
    script = "grep -rhoE 'world size: [0-9]+' \"$1\" | sort -u"
    logs = f"{scene.run_folder(NAME)}/logs"
    worlds = scene.lab.exec("gpu1", ("sh", "-c", script, "sh", logs)).split("\n")
    assert "world size: 1" in worlds, worlds
    assert "world size: 2" in worlds, worlds
    (lost,) = {
        run["state"]
        for run in scene.kit("status", definition=definition)["runs"]
        if run["run_id"] == result["run_id"] and run["host"] == "gpu2"
    }
    assert lost == "failed", lost
    log = scene.read("gpu1", f"{scene.run_folder(NAME)}/out/trainer_log.jsonl").splitlines()
    assert json.loads(log[0])["current_steps"] == 1
    return (
        f"gpu2 killed on the way; gpu1 began again alone: {STEPS} steps, last loss {result['last_loss']:.3f}"
    )


ROWS = (
    Row("train", "elastic, DDP, one of 2 hosts killed", RAN, _prove),
    refused("train", "elastic on one host", training("sft", "lora", hosts=["gpu1"], elastic={})),
    refused(
        "train",
        "elastic, first host not the lowest address",
        training("sft", "lora", hosts=["gpu2", "gpu1"], elastic={}),
    ),
)
