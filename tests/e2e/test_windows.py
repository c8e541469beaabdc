"""LLaMA Board, opened as people open it: `kit open`, and a browser that reaches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.open_window import kit_open, look_at_board

if TYPE_CHECKING:
    from tests.e2e.journey import Journey

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_board_shows_its_model_and_asks_nobody_outside(journey: Journey) -> None:
    def add_board(document: dict[str, Any]) -> None:
        board = {"kind": "board", "models": ["tiny"], "datasets": ["questions"], "hosts": ["gpu1"]}
        document["jobs"] = {"board": board}

    definition = journey.variant("board.yaml", add_board)
    assert journey.kit("up", "board", definition=definition)["state"] == "running"
    try:
        with kit_open(journey, "board", definition) as opened:
            assert (opened["host"], opened["remote"]) == ("gpu1", "127.0.0.1:7860")
            seen = look_at_board(opened["url"], journey.folder)
    finally:
        journey.kit("down", "board", definition=definition)
    assert seen["title"] == "LLaMA Factory (gpu1)"
    assert (seen["model"], seen["datasets"]) == ("/kit/models/tiny", ["questions"])
    assert seen["outside"] == []


def test_a_job_that_was_ended_opens_no_more(journey: Journey) -> None:
    code, said = journey.refused("open", "board", definition="board.yaml")
    assert code == 8
    assert "kit up board" in said
