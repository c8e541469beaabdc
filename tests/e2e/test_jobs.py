"""A sample of the kinds of job and their options; `make test-jobs` runs all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.row import RAN, Row
from tests.jobs.scene import Scene, scene_beside
from tests.jobs.table import ROWS

if TYPE_CHECKING:
    from tests.e2e.journey import Journey

# The first test of the session pays for the crossing, images built included.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
SAMPLE = ("dpo × full, ZeRO-3, offload all, 2 hosts", "kto × lora, DDP, 2 hosts")
CHOSEN = [row for row in ROWS if row.kind == "train" and row.way == RAN and row.options in SAMPLE]


@pytest.fixture(scope="module")
def scene(journey: Journey) -> Scene:
    return scene_beside(journey, journey.folder.with_name("jobs-project"))


def test_the_sample_is_there() -> None:
    assert {row.options for row in CHOSEN} == set(SAMPLE)


@pytest.mark.parametrize("row", CHOSEN, ids=lambda row: row.name)
def test_a_kind_of_job_runs(row: Row, scene: Scene) -> None:
    assert row.prove(scene)
