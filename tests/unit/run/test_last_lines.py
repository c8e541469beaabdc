from __future__ import annotations

import os
from pathlib import Path

from kit.run.last_lines import RankLog, choose_lines, read_last_lines

TRACE = "Traceback (most recent call last):\n  File x\nValueError: the cause\n"


SUMMARY = """
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Failures:
[1]:
  rank      : 2 (local_rank: 0)
  exitcode  : -15 (pid: 9)
Root Cause (first observed failure):
[0]:
  time      : 2026-01-02_03:04:05
  host      : gpu2
  rank      : 3 (local_rank: 1)
  exitcode  : -6 (pid: 10)  (SIGABRT)
  error_file: <N/A>
Traceback (most recent call last):
  File "cli.py"
subprocess.CalledProcessError: torchrun
"""


def test_the_first_rank_with_a_traceback_tells_the_cause() -> None:
    later = "Traceback (most recent call last):\nlater"
    logs = (RankLog(0, "a warning"), RankLog(1, TRACE), RankLog(2, later))
    assert choose_lines(logs, "summary")[-1] == "ValueError: the cause"


def test_a_rank_that_a_signal_killed_tells_what_it_said_last() -> None:
    logs = (RankLog(1, "terminate called after throwing"), RankLog(0, "told to stop"))
    assert choose_lines(logs, SUMMARY) == (
        "terminate called after throwing",
        "rank 3 ended: exitcode -6 (pid: 10)  (SIGABRT)",
    )


def test_of_a_rank_started_again_the_last_start_counts() -> None:
    logs = (RankLog(1, "first start"), RankLog(1, "second start"))
    assert choose_lines(logs, SUMMARY)[0] == "second start"


def test_the_container_tells_for_a_rank_that_said_nothing() -> None:
    assert choose_lines((RankLog(1, " \n"), RankLog(0, "told to stop")), SUMMARY)[-1] == (
        "subprocess.CalledProcessError: torchrun"
    )


def test_without_a_traceback_the_container_tells() -> None:
    assert choose_lines((RankLog(0, "a warning"),), "one\n\ntwo  \n") == ("one", "two")


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
