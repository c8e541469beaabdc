"""The whole path with the real train and serve images, in the lab. Each test builds on those above it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.demo import learn
from tests.e2e.journey import right_answers

if TYPE_CHECKING:
    from tests.e2e.journey import Journey

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]
HOSTS = ("gpu1", "gpu2")
TWO_RANKS = {"gpu1": "Process rank: 0, world size: 2", "gpu2": "Process rank: 1, world size: 2"}


def _ranks(journey: Journey, job: str) -> dict[str, str]:
    """Return what the rank on each host said of itself, in the logs of the job's newest run there."""
    words = r"grep -rhoE 'Process rank: [0-9]+, world size: [0-9]+' " + f"/aisys/kit/runs/{job}/latest/logs"
    return {host: journey.lab.exec(host, ("sh", "-c", f"{words} | sort -u")).strip() for host in HOSTS}


def _engine_stage(journey: Journey, job: str) -> int:
    """Return the ZeRO stage in the DeepSpeed file that the newest run really read."""
    text = journey.lab.exec("gpu1", ("sh", "-c", f"cat /aisys/kit/runs/{job}/latest/deepspeed.json"))
    return int(json.loads(text)["zero_optimization"]["stage"])


def test_a_bundle_is_made_and_shipped_in_one_go(journey: Journey) -> None:
    made = journey.kit("bundle", "--ship")
    assert made["shipped"]["failures"] == []
    assert {receipt["host"] for receipt in made["shipped"]["hosts"]} == set(HOSTS)
    assert {receipt["bundle"] for receipt in made["shipped"]["hosts"]} == {made["digest"]}


def test_a_host_serves_the_base_model_by_itself_which_knows_none_of_the_answers(journey: Journey) -> None:
    def stay_here(document: dict[str, Any]) -> None:
        document["hosts"] = {"gpu1": {"address": "local", "root": "/aisys/kit"}}
        document["jobs"] = {"serve-base": document["jobs"]["serve-base"]}

    text = (journey.folder / journey.variant("here.yaml", stay_here)).read_text(encoding="utf-8")
    journey.lab.exec("gpu1", ("sh", "-c", 'mkdir -p here && printf %s "$1" > here/kit.yaml', "sh", text))

    def kit(*words: str) -> dict[str, Any]:
        script = 'cd here && exec /aisys/kit/bin/kit "$@" --json'
        result: dict[str, Any] = json.loads(journey.lab.exec("gpu1", ("sh", "-c", script, "sh", *words)))
        return result

    assert kit("up", "serve-base")["state"] == "running"
    assert kit("ask", "serve-base", "Hello")["answer"]
    questions = json.loads((journey.folder / "data" / "questions.json").read_text(encoding="utf-8"))
    answers = [kit("ask", "serve-base", question["instruction"])["answer"] for question in questions]
    assert not [
        answer for answer, asked in zip(answers, questions, strict=True) if answer.strip() == asked["output"]
    ]
    assert [run["job"] for run in kit("down", "serve-base")["ended"]] == ["serve-base"]
    # Root launched it there; whoever ships to this host still reads it.
    (run,) = (run for run in journey.kit("status")["runs"] if run["job"] == "serve-base")
    assert run["state"] == "stopped"


def test_two_hosts_train_with_zero_2_and_the_served_model_has_learnt(journey: Journey) -> None:
    learn(journey)
    rows = journey.ask_all("serve")
    journey.kit("down", "serve")
    assert _ranks(journey, "train") == TWO_RANKS
    assert _engine_stage(journey, "train") == 2
    assert right_answers(rows) >= 5, rows


def test_zero_3_learns_too_and_nothing_leaves_an_intranet_that_has_a_way_out(journey: Journey) -> None:
    with journey.lab.sink(HOSTS) as sink:
        learn(journey, "-zero3")
        rows = journey.ask_all("serve-zero3")
        assert sink.counts() == {"packets": 0, "queries": 0}
        journey.lab.exec("gpu1", ("sh", "-c", "curl -m 5 -s http://example.com/ || true"))
        planted = sink.counts()
    journey.kit("down", "serve-zero3")
    assert planted["packets"] > 0
    assert planted["queries"] > 0
    assert _ranks(journey, "train-zero3") == TWO_RANKS
    assert _engine_stage(journey, "train-zero3") == 3
    assert right_answers(rows) >= 5, rows
