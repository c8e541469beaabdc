from __future__ import annotations

import io
import threading

from rich.console import Console

from kit.cli.progress_bars import BarProgress
from kit.cli.progress_lines import LineProgress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_a_task_that_ends_at_once_is_one_line() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock)
    progress.start("send", 1000)
    progress.advance("send", 1000)
    progress.finish("send")
    assert lines_of(stream) == ["send: done (1.0 kB, 0.0 s)"]


def test_a_long_task_speaks_no_more_than_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock)
    progress.start("send", 4000)
    for _ in range(20):
        clock.now += 0.5
        progress.advance("send", 50)
    assert lines_of(stream) == ["send: 500 B of 4.0 kB", "send: 1.0 kB of 4.0 kB"]


def test_the_first_report_is_told_at_once_and_repetitions_never() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock)
    progress.start("train")
    for text in ("loading", "loading", "step 1"):
        progress.report("train", text)
    clock.now = 9.0
    progress.report("train", "step 9")
    progress.report("train", "step 9")
    assert lines_of(stream) == ["train: loading", "train: step 9"]


def test_a_task_that_was_never_begun_ends_in_silence() -> None:
    stream = io.StringIO()
    LineProgress(stream).finish("nothing")
    assert lines_of(stream) == []


def test_many_threads_may_speak_at_once() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream, Clock())

    def work(name: str) -> None:
        progress.start(name, 1000)
        for _ in range(1000):
            progress.advance(name, 1)
        progress.finish(name)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines_of(stream)) == [f"t{i}: done (1.0 kB, 0.0 s)" for i in range(8)]


def test_bars_leave_one_line_a_task_behind() -> None:
    stream = io.StringIO()
    progress = BarProgress(Console(file=stream, force_terminal=True, width=100, no_color=True))
    progress.start("send [x]", 10)
    progress.advance("send [x]", 5)
    progress.report("train", "step 1", 0.5)
    progress.note("a [bold]note[/bold]")
    progress.finish("send [x]")
    progress.finish("train")
    progress.finish("nothing")
    progress.close()
    shown = stream.getvalue()
    assert "send [x]: done" in shown
    assert "train: done" in shown
    assert "a [bold]note[/bold]" in shown
