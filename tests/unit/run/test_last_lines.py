from __future__ import annotations

import os
from pathlib import Path

from kit.run.last_lines import choose_lines, read_last_lines

TRACE = "Traceback (most recent call last):\n  File x\nValueError: the cause\n"


def test_the_first_rank_with_a_traceback_tells_the_cause() -> None:
    assert choose_lines(("a warning", TRACE, "Traceback (most recent call last):\nlater"), "summary")[-1] == (
        "ValueError: the cause"
    )


def test_without_a_traceback_the_container_tells() -> None:
    assert choose_lines(("a warning",), "one\n\ntwo  \n") == ("one", "two")


def test_no_more_than_twenty_lines_are_shown() -> None:
    assert len(choose_lines((), "\n".join(map(str, range(50))))) == 20


def test_the_rank_whose_log_ended_first_comes_first(tmp_path: Path) -> None:
    for rank, (text, when) in enumerate(((TRACE.replace("cause", "echo"), 200), (TRACE, 100))):
        log = tmp_path / "none_x" / "attempt_0" / str(rank) / "stderr.log"
        log.parent.mkdir(parents=True)
        log.write_text(text)
        os.utime(log, (when, when))
    assert read_last_lines(tmp_path, tmp_path / "gpu1.log")[-1] == "ValueError: the cause"


def test_logs_that_are_not_there_say_nothing(tmp_path: Path) -> None:
    assert read_last_lines(tmp_path, tmp_path / "gpu1.log") == ()
