"""Several hosts at once, as a terminal, a log and a program see them."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from kit.cli.host_bars import HostBars
from kit.cli.host_events import HostEvents
from kit.cli.host_lines import HostLines
from kit.cli.host_rows import Row, Rows, row_text, screen, time_text
from tests.unit.cli.test_progress import Clock, lines_of

GB = 10**9
HOSTILE = "load\x1b]0;owned\x07ing\n\x9b31m\u202edne"


def rows_at(clock: Clock) -> Rows:
    """Two hosts, one of which has got 1 of 4 GB in ten seconds."""
    rows = Rows(clock)
    rows.phase("gpu1", "send", 4 * GB, "")
    for _ in range(20):
        clock.now += 0.5
        rows.sent("gpu1", GB // 20)
    rows.phase("node-with-a-rather-long-name", "load", 0, "kit.invalid/train:1")
    return rows


def test_a_row_tells_bytes_rate_and_remaining_time() -> None:
    clock = Clock()
    row = rows_at(clock).row("gpu1")
    assert row.rate(clock.now) == pytest.approx(GB / 10)
    assert row.remaining(clock.now) == pytest.approx(30)
    text = row_text(row, clock.now, 100, 5)
    assert re.fullmatch(
        r"gpu1   sending     ######\.{18}  1\.0 GB of 4\.0 GB +  +100\.0 MB/s  0:30 left", text
    ), text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_no_row_is_wider_than_the_terminal_and_each_tells_its_host_and_phase(width: int) -> None:
    clock = Clock()
    rows = rows_at(clock)
    lines = [words for _, words in screen(list(rows.rows.values()), clock.now, width, 24)]
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("gpu1")
    assert "send" in lines[0]
    if width > 20:
        assert " 25%" in lines[0] or "##" in lines[0]
        assert "0:30 left" in lines[0]


def test_more_hosts_than_lines_are_counted_and_those_at_work_stay_in_sight() -> None:
    rows = [Row(f"gpu{n}", "done" if n < 18 else "send") for n in range(20)]
    lines = screen(rows, 0.0, 80, 10)
    assert len(lines) == 9
    assert [words.split()[0] for _, words in lines[:2]] == ["gpu18", "gpu19"]
    assert lines[-1][1] == "and 12 more hosts, 12 of them done"


def test_a_stalled_host_has_no_time_to_promise() -> None:
    clock = Clock()
    row = rows_at(clock).row("gpu1")
    clock.now += 60
    assert (row.rate(clock.now), row.remaining(clock.now)) == (None, None)


def test_times_to_wait_are_short() -> None:
    assert [time_text(seconds) for seconds in (0.2, 59.6, 760, 11_100)] == ["0:00", "1:00", "12:40", "3:05 h"]


def story(view: Any, clock: Clock) -> None:
    view.note("the plan")
    for host in ("gpu1", "gpu2"):
        view.phase(host, "have")
        view.phase(host, "plan", send_bytes=1000)
        view.phase(host, "send")
    for _ in range(100):
        clock.now += 0.1
        for host in ("gpu1", "gpu2"):
            view.sent(host, 10)
    view.phase("gpu1", "load", text=HOSTILE)
    view.phase("gpu2", "failed", text=HOSTILE)
    view.phase("gpu1", "done")
    view.close()


def test_a_log_gets_a_line_every_few_seconds_a_host_at_most() -> None:
    stream, clock = io.StringIO(), Clock()
    story(HostLines(stream, clock), clock)
    lines = lines_of(stream)
    assert lines[:3] == ["the plan", "gpu1: sending 1.0 kB", "gpu2: sending 1.0 kB"]
    assert [line for line in lines if line.startswith("gpu1")][1:] == [
        "gpu1: 510 B of 1.0 kB, 100 B/s, 0:05 left",
        "gpu1: done (1.0 kB sent, 10.0 s)",
    ]
    assert lines[-2].startswith("gpu2: failed: load")


def test_a_program_gets_json_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    story(HostEvents(stream, clock), clock)
    events = [json.loads(line) for line in lines_of(stream)]
    assert events[0] == {"event": "note", "text": "the plan"}
    mine = [event for event in events if event.get("host") == "gpu1"]
    assert [event["phase"] for event in mine if event["event"] == "phase"] == [
        "have",
        "plan",
        "send",
        "load",
        "done",
    ]
    progress = [event for event in mine if event["event"] == "progress"]
    assert 9 <= len(progress) <= 11
    assert progress[-1] == {
        "event": "progress",
        "host": "gpu1",
        "sent_bytes": 1000,
        "send_bytes": 1000,
        "rate": 100,
    }
    assert mine[-1] == {
        "event": "phase",
        "host": "gpu1",
        "phase": "done",
        "send_bytes": 1000,
        "sent_bytes": 1000,
    }


def test_a_host_that_gets_nothing_has_one_line_of_a_log() -> None:
    stream, clock = io.StringIO(), Clock()
    view = HostLines(stream, clock)
    for phase in ("have", "plan", "send", "assemble", "send", "place", "done"):
        clock.now += 10
        view.phase("gpu1", phase, send_bytes=0, text="tiny" if phase == "place" else "")
    assert lines_of(stream) == ["gpu1: done (0 B sent, 60.0 s)"]


@pytest.mark.parametrize("kind", [HostLines, HostEvents])
def test_what_is_said_again_and_again_is_told_once(kind: type[HostLines | HostEvents]) -> None:
    stream, clock = io.StringIO(), Clock()
    view = kind(stream, clock)
    for _ in range(1000):
        view.phase("gpu1", "load", text="train")
    assert len(lines_of(stream)) == 1


@pytest.mark.parametrize("kind", [HostLines, HostEvents])
def test_what_a_host_says_does_nothing_to_a_terminal(kind: type[HostLines | HostEvents]) -> None:
    stream, clock = io.StringIO(), Clock()
    story(kind(stream, clock), clock)
    for line in lines_of(stream):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line)


def test_live_rows_show_every_host_without_colour_where_none_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    clock, stream = Clock(), io.StringIO()
    console = Console(file=stream, force_terminal=True, width=90, height=20)
    view = HostBars(console, Rows(clock))
    with view.paused():
        story(view, clock)
    console.print(view)
    shown = stream.getvalue()
    assert "the plan" in shown
    assert "gpu1" in shown
    assert "gpu2: failed: load" in shown
    assert "\x1b]0" not in shown
    assert "\x9b" not in shown
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", shown)


def test_a_host_that_says_something_without_end_says_it_in_one_line() -> None:
    stream, clock = io.StringIO(), Clock()
    HostLines(stream, clock).phase("gpu1", "failed", text="x" * 10**7)
    assert len(stream.getvalue()) < 400
