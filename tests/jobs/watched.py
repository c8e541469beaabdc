"""Rows of what is seen of a training, and of what happens before its ranks meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.trainings import ONE, check_training, training

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

TRACKERS = ["tensorboard", "wandb", "swanlab"]


def _monitors(scene: Scene) -> str:
    job = training("sft", "lora", {"report_to": TRACKERS}, **ONE)
    definition = scene.define({"watched": {**job, "port": scene.port}})
    seen = check_training(scene, job, scene.kit("up", "watched", definition=definition))
    home = scene.kit("collect", "watched", definition=definition)
    ways = [line.split()[0] for line in home["look"]]
    assert ways == TRACKERS, home["look"]
    assert home["plot"].endswith("loss.svg"), home
    drawn = scene.kit("curve", "watched", definition=definition)["curves"]
    assert len(drawn[0]["points"]) == job["args"]["max_steps"], drawn
    return f"{seen}; their files came home, with the loss as SVG"


def _tokenised(scene: Scene) -> str:
    job = training("sft", "lora", tokenize_first=True)
    definition = scene.define({"tokenised": {**job, "port": scene.port}})
    result = scene.kit("up", "tokenised", definition=definition)
    assert (result["state"], result["steps"]) == ("done", job["args"]["max_steps"]), result
    _check_tokens(scene, job["hosts"])
    return (
        f"loss {result['first_loss']:.3f} → {result['last_loss']:.3f}, from tokens that each host had saved"
    )


def _check_tokens(scene: Scene, hosts: list[str]) -> None:
    folder = scene.run_folder("tokenised")
    for rank, host in enumerate(hosts):
        log = scene.read(host, f"{folder}/logs/{host}.log")
        before, _, after = log.partition("kit: tokenised\n")
        assert "Tokenized dataset is saved at /kit/run/tokenized" in before, log[-2000:]
        assert f"Process rank: {rank}, world size: {len(hosts)}" in after, log[-2000:]
        assert "Tokenized dataset is saved" not in after, log[-2000:]


ROWS = (
    Row("train", "sft × lora, TensorBoard, W&B and SwanLab offline, one host", RAN, _monitors),
    Row("train", "sft × lora, tokenised first, 2 hosts", RAN, _tokenised),
    refused("train", "a tracker that calls out", training("sft", "lora", {"report_to": "mlflow"})),
    refused(
        "train",
        "W&B online, no proxy named",
        training("sft", "lora", {"report_to": "wandb"}, env={"WANDB_MODE": "online"}),
    ),
    refused("train", "dpo, data without pairs", training("dpo", "lora", datasets=["prose"])),
)
