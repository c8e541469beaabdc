from __future__ import annotations

from typing import Any

import pytest

from kit.errors import EngineError
from kit.ship.receipt import error_words, receipt_line

HEAD = {"name": "demo", "bundle": "sha256:" + "ab" * 32, "who": "ops@laptop", "at": "2026-05-01T12:30:00Z"}
DONE = {
    **HEAD,
    "outcome": "done",
    "host": "gpu1",
    "seconds": 12.34,
    "images": [["a", "b"], ["c", "d"]],
    "loaded": ["a"],
    "files": 3,
    "file_bytes": 8_400_000,
}


def test_a_receipt_is_one_line() -> None:
    assert receipt_line(DONE) == (
        "2026-05-01T12:30:00Z demo sha256:abababababab on gpu1, by ops@laptop: done in 12.3 s; 2 images, "
        "3 files (8.4 MB) compared with the bundle; 1 loaded"
    )


def failed(**words: str) -> dict[str, Any]:
    error = error_words(EngineError("no space", **{"where": "gpu1: docker", "why": "disk full", **words}))
    return {**HEAD, "outcome": "failed", "error": error}


def test_a_failure_says_how_far_it_came_and_why() -> None:
    assert receipt_line({**failed(), "reached": "load"}).endswith(
        "by ops@laptop: FAILED after load: gpu1: docker: no space: disk full"
    )
    assert receipt_line(failed(why="")).endswith("laptop: FAILED: gpu1: docker: no space")


@pytest.mark.parametrize("bad", ["a\nb", "a\r\x1b[2Jb", "a\u2028b"])
def test_what_a_host_says_starts_no_line_and_moves_no_cursor(bad: str) -> None:
    line = receipt_line(failed(why=bad))
    assert line.isprintable()
    assert line.endswith("b")
