"""What needs no lab of the table: names, refusals, and what is rendered for GPUs."""

from __future__ import annotations

import pytest
import yaml

from kit.data_files import data_folder
from tests.e2e.journey import Journey
from tests.jobs.data import write_datasets
from tests.jobs.page import page
from tests.jobs.row import RAN, Outcome, Row
from tests.jobs.scene import Scene
from tests.jobs.table import ROWS
from tests.lab import Lab


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("project")
    made = yaml.safe_load((data_folder("bundles") / "demo" / "kit.yaml").read_text(encoding="utf-8"))
    made["datasets"] |= write_datasets(folder)
    (folder / "kit.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    return Scene(Journey(folder, Lab(("gpu1", "gpu2")), {}), "/aisys/jobs", 11000)


@pytest.mark.parametrize("row", [row for row in ROWS if row.way != RAN], ids=lambda row: row.name)
def test_a_row_that_needs_no_lab_holds(row: Row, scene: Scene) -> None:
    assert row.prove(scene)


def test_no_two_rows_have_one_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_page_calls_a_failure_one() -> None:
    rows = [
        Outcome("train", f"sft × {n}", RAN, "loss 4 | 1", 3.2, "2026-01-01", n == "lora")
        for n in ("lora", "full")
    ]
    text = page(rows, ["train-rm-full-ran"])
    assert text.endswith("last changed: `train-rm-full-ran`.\n")
    assert "| train | sft × lora | loss 4 \\| 1 | 3 |" in text
    assert "| train | sft × full | FAILED: loss 4" in text
