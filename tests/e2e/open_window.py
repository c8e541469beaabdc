"""`kit open` as a user has it running, and what a browser then shows of a board."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.browser import window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.journey import Journey

PATIENCE = 60
"""Seconds for kit to end, and milliseconds times 1000 for a page to show something."""
PICTURE = "board.png"


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
