"""`kit open` as a user has it running, and what a browser then shows of a board."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.browser import window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.e2e.journey import Journey

PATIENCE = 60
"""Seconds for kit to end, and milliseconds times 1000 for a page to show something."""
PICTURE = "board.png"
TRAINING_SECONDS = 240
_ENDED = re.compile(r"^(Finished|Failed)\.")


@contextmanager
def kit_open(journey: Journey, job: str, definition: str = "kit.yaml") -> Iterator[dict[str, Any]]:
    """Yield what `kit open JOB --json` says once the way is open; Ctrl-C ends it, with exit code 0."""
    argv = [sys.executable, "-m", "kit", "open", job, "--json", "-f", str(journey.folder / definition)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env=journey.environment)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def look_at_board(url: str, folder: Any) -> dict[str, Any]:
    """Return what a browser shows of LLaMA Board; its picture goes into the folder."""
    with window(url) as seen:
        page = seen.page
        path = page.get_by_label("Model path")
        path.wait_for(timeout=PATIENCE * 1000)
        page.wait_for_function("document.querySelectorAll('textarea, input').length > 40")
        page.get_by_role("textbox", name="Dataset", exact=True).first.click()
        page.get_by_role("option").first.wait_for(timeout=PATIENCE * 1000)
        datasets = [option.inner_text().strip() for option in page.get_by_role("option").all()]
        page.screenshot(path=str(folder / PICTURE))
        return {
            "title": page.title(),
            "model": path.input_value(),
            "datasets": datasets,
            "outside": sorted(seen.outside),
            "policy": page.evaluate(
                "fetch('/').then(answer => answer.headers.get('content-security-policy'))"
            ),
        }


def train_in_board(url: str, folder: Any, output_dir: str, args: dict[str, Any]) -> str:
    """Train by clicks in LLaMA Board, with these extra arguments; return the page's words at its end."""
    with window(url) as seen:
        page = seen.page
        page.get_by_label("Model path").wait_for(timeout=PATIENCE * 1000)
        page.wait_for_function("document.querySelectorAll('textarea, input').length > 40")
        _choose(page.get_by_role("listbox", name="Chat template", exact=True), "chatml")
        _choose(page.get_by_role("listbox", name="Compute type", exact=True), "fp32")
        _choose(page.get_by_role("textbox", name="Dataset", exact=True).first, "questions")
        page.get_by_text("Extra configurations").first.click()
        page.get_by_label("Extra arguments").first.fill(json.dumps(args))
        _choose(page.get_by_role("listbox", name="Output dir", exact=True), output_dir)
        page.get_by_role("button", name="Start", exact=True).first.click()
        ended = page.get_by_text(_ENDED).first
        try:
            ended.wait_for(timeout=TRAINING_SECONDS * 1000)
        finally:
            page.screenshot(path=str(folder / "board-trained.png"))
        return str(ended.inner_text())


def _choose(box: Locator, choice: str) -> None:
    """Choose in a drop-down list, or write what it does not have."""
    box.click()
    box.fill(choice)
    box.press("Enter")
    # What was chosen may have renamed the box.
    box.page.keyboard.press("Tab")
