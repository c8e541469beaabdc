"""The whole path with the real train and serve images, in the lab. Each test builds on those above it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.demo import ask_base, learn
from tests.e2e.journey import right_answers

if TYPE_CHECKING:
    from tests.e2e.journey import Journey

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]
HOSTS = ("gpu1", "gpu2")


def _ran_on(journey: Journey, job: str) -> set[str]:
    """Return the hosts on which a container of the job's newest run exists, as their engines tell."""
    found = set()
    for host in HOSTS:
        said = journey.lab.exec(
            host, ("docker", "ps", "-a", "--filter", f"label=kit.job={job}", "--format", "{{.Names}}")
        )
        if said.strip():
            found.add(host)
    return found


def _engine_stage(journey: Journey, job: str) -> int:
    """Return the ZeRO stage in the DeepSpeed file that the newest run really read."""
    text = journey.lab.exec("gpu1", ("sh", "-c", f"cat /aisys/kit/runs/{job}/latest/deepspeed.json"))
    return int(json.loads(text)["zero_optimization"]["stage"])


def test_the_base_model_knows_none_of_the_answers(journey: Journey) -> None:
    assert right_answers(ask_base(journey)) == 0


def test_two_hosts_train_with_zero_2_and_the_served_model_has_learnt(journey: Journey) -> None:
    learn(journey)
    assert _ran_on(journey, "train") == set(HOSTS)
    assert _engine_stage(journey, "train") == 2
    rows = journey.ask_all("serve")
    journey.kit("down", "serve")
    assert right_answers(rows) >= 5, rows


def test_zero_3_learns_too_and_nothing_leaves_an_intranet_that_has_a_way_out(journey: Journey) -> None:
    with journey.lab.sink(HOSTS) as sink:
        learn(journey, "-zero3")
        rows = journey.ask_all("serve-zero3")
        assert sink.counts() == {"packets": 0, "queries": 0}
        journey.lab.exec("gpu1", ("sh", "-c", "curl -m 5 -s http://example.com/ || true"))
        planted = sink.counts()
    assert planted["packets"] > 0
    assert planted["queries"] > 0
    assert _ran_on(journey, "train-zero3") == set(HOSTS)
    assert _engine_stage(journey, "train-zero3") == 3
    assert right_answers(rows) >= 5, rows
