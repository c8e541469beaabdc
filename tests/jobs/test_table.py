"""What needs no lab of the table: names, refusals, and what is rendered for GPUs."""

from __future__ import annotations

from typing import Any

import pytest

from kit.images.stacks import find_stack
from tests.jobs.page import page
from tests.jobs.parsed_values import different, given_flags
from tests.jobs.row import RAN, RENDERED, Outcome, Row
from tests.jobs.scene import Scene, hostless_scene
from tests.jobs.table import ROWS


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return hostless_scene(tmp_path_factory.mktemp("project"))


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


def test_rows_for_gpus_name_images_of_their_stack() -> None:
    named = {row.image for row in ROWS if row.way == RENDERED}
    assert named == {"train", "serve", "serve-sglang"}
    assert all(find_stack("cu126").image(name) for name in named)


WORDS = ("--model=/m", "--port=8000", "--share=0.5", "--switch", "--adapters", "a=/a", "b=/b")
PARSED = {
    "--model": "/m",
    "--port": 8000,
    "--share": 0.5,
    "--switch": True,
    "--adapters": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b"}],
}


def test_values_that_a_parser_understood_as_given_are_not_different() -> None:
    assert not different(given_flags(WORDS), PARSED)
    assert not different(given_flags(WORDS), {**PARSED, "--adapters": {"a": "/a", "b": "/b"}})
    settings = {
        "bf16": True,
        "seed": 7,
        "dataset": "a,b",
        "fsdp": "full_shard auto_wrap",
        "report_to": "none",
    }
    lists = {"dataset": ["a", "b"], "fsdp": ["full_shard", "auto_wrap"], "report_to": []}
    assert not different(settings, {**settings, **lists})


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("--model", "/n"),
        ("--port", 8001),
        ("--port", True),
        ("--share", 0.9),
        ("--switch", False),
        ("--switch", None),
        ("--adapters", [{"name": "a", "path": "/a"}]),
        ("--adapters", {"a": "/a", "b": "/a"}),
    ],
)
def test_a_flag_that_was_understood_otherwise_is_different(name: str, parsed: Any) -> None:
    (line,) = different(given_flags(WORDS), {**PARSED, name: parsed})
    assert line.startswith(f"{name}: given ")


@pytest.mark.parametrize("parsed", [{}, {"seed": 8}, {"seed": [7]}, {"seed": None}])
def test_a_value_that_is_missing_or_another_is_different(parsed: dict[str, Any]) -> None:
    assert different({"seed": 7}, parsed)


def test_a_tracker_that_was_dropped_is_different() -> None:
    assert different({"report_to": "tensorboard"}, {"report_to": []})
