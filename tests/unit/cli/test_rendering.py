"""The words on standard output."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kit.cli import crossing, launching, preparing, reading, watching
from kit.cli.output import bytes_text, plain, show, table
from kit.cli.ship_words import planned, planned_briefly
from kit.host.checks import Finding
from kit.run.ask import Asked
from kit.run.check_hosts import CheckResult
from kit.run.collect import Collected
from kit.run.down import DownResult, Ended
from kit.run.plan import PlannedFile, PlannedHost
from kit.run.status import HostRow, RunRow, Status
from kit.run.up import UpResult
from kit.ship.receipt import Receipt
from kit.signature.seen import Older, SeenBundle
from kit.signature.trust import Verdict
from kit.workflow.make_bundle import BundlePlan, Made
from kit.workflow.open_trusted import Provenance
from kit.workflow.ship_plan import Reused, ShipPlan, ShipStep
from kit.workflow.ship_project import Shipped
from kit.workflow.write_project_lock import Locked


def up_result(**overrides: Any) -> UpResult:
    fields: dict[str, Any] = {
        "job": "train",
        "kind": "train",
        "run_id": "20260101-000000-aa",
        "state": "done",
        "hosts": ("gpu1", "gpu2"),
        "seconds": 61.4,
    }
    return UpResult(**(fields | overrides))


def test_sizes_are_said_in_decimal_units() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 1_500_000, 2.5e9, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2.5 GB",
        "3.0 TB",
    ]


def test_columns_of_a_table_are_aligned() -> None:
    assert list(table(("A", "LONG"), [("xyz", 1), ("x", "")])) == ["A    LONG", "xyz  1", "x"]


def test_results_become_plain_json() -> None:
    assert plain({"a": (Path("/x"), up_result().hosts), 1: {"b"}}) == {
        "a": ["/x", ["gpu1", "gpu2"]],
        "1": ["b"],
    }


def test_a_result_is_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    show(up_result(), lambda _: ("not shown",), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["hosts"] == ["gpu1", "gpu2"]
    assert {"first_loss", "last_loss", "url", "made_bytes", "plan"} <= set(document)


def test_a_training_reports_losses_and_what_it_made() -> None:
    result = up_result(
        first_loss=4.5,
        last_loss=0.01,
        steps=180,
        made_on="gpu1",
        made_at="/r/out",
        made_bytes=2000,
        made_files=3,
    )
    assert list(launching._up_lines(result)) == [
        "train done on gpu1, gpu2 in 61 s (run 20260101-000000-aa)",
        "loss: first 4.5, last 0.01, after 180 steps",
        "made 3 files, 2.0 kB: gpu1:/r/out",
    ]


def test_a_server_reports_its_address_and_how_to_ask() -> None:
    result = up_result(
        job="serve", state="running", hosts=("gpu1",), url="http://127.0.0.1:8000", served_name="m"
    )
    first, second = launching._up_lines(result)
    assert "http://127.0.0.1:8000" in first
    assert "kit ask serve" in second


def test_a_detached_job_says_how_to_watch_it() -> None:
    assert "kit logs train -f" in next(iter(launching._up_lines(up_result(state="started"))))


def test_a_plan_shows_files_and_commands() -> None:
    host = PlannedHost(
        "gpu1", "/r", "kit.invalid/train:1", ("docker compose up",), (PlannedFile("a.yaml", "x: 1\n"),)
    )
    lines = list(launching._up_lines(up_result(state="planned", plan=(host,))))
    assert lines[1:] == ["--- a.yaml", "x: 1", "$ docker compose up"]


def test_what_was_ended_is_listed() -> None:
    ended = Ended("gpu1", "serve", "run", "stopped")
    assert list(launching._down_lines(DownResult((ended,)))) == ["serve on gpu1: stopped (run run)"]
    assert list(launching._down_lines(DownResult(()))) == ["nothing runs"]
    assert "would end" in next(iter(launching._down_lines(DownResult((ended,), dry_run=True))))


def test_status_lists_hosts_errors_and_runs() -> None:
    hosts = (
        HostRow("gpu1", "10.0.0.11", "20.10", 5_000_000_000, "demo"),
        HostRow("gpu2", "x", None, None, None, "away", 4),
    )
    run = RunRow(
        "gpu1", "serve", "serve", "r1", "running", "running", 0.0, None, None, "http://x:8000", None, None
    )
    lines = list(watching._status_lines(Status(hosts, (run,))))
    assert "away" in lines
    assert any("http://x:8000" in line and "running" in line for line in lines)
    assert Status(hosts, ()).exit_code == 4


def test_what_came_home_is_counted() -> None:
    found = Collected("merge", "r1", "done", "/home/x", 5, 100, 2, 40)
    assert list(watching._collect_lines(found)) == [
        "merge (run r1, done): fetched 2 of 5 files, 40 B of 100 B",
        "it is in /home/x",
    ]


def test_an_empty_answer_is_said_to_be_one() -> None:
    answer = Asked("serve", "m", "?", "", "", 1, 0, 1.0, None)
    assert list(watching._end_of_answer(answer)) == ["(an empty answer)"]


def test_findings_that_are_wrong_come_with_their_fix() -> None:
    result = CheckResult(
        ("gpu1",), fit=False, findings=(Finding("gpu1", "engine", "fail", "none", "start it"),)
    )
    lines = list(crossing._checked(result))
    assert "gpu1 engine: to mend it: start it" in lines
    assert lines[-1] == "1 host: NOT fit"


def test_a_ship_is_told_host_by_host() -> None:
    receipt = Receipt("gpu1", "sha256:x", 1000, 2000, (("t", "i"),), ("t",), ("models/m",), 1.5)
    assert "1.0 kB" in list(crossing.ship_lines(Shipped(1000, (receipt,))))[1]


def ship_step(**overrides: Any) -> ShipStep:
    fields: dict[str, Any] = {
        "host": "gpu1",
        "send_bytes": 1000,
        "there_bytes": 6000,
        "sends_kit": True,
        "blobs": 1,
        "loads": ("t",),
        "trees": ("model m",),
        "reused": Reused(1000, 2000, 3000, 4000),
        "seconds": 61.0,
        "disk_bytes": 1500,
        "disk_free": 10**9,
        "engine_bytes": 7000,
        "engine_free": None,
    }
    return ShipStep(**(fields | overrides))


def test_a_dry_run_tells_bytes_seconds_what_is_reused_and_room() -> None:
    lines = list(planned(ShipPlan(1000, 1000, (ship_step(),))))
    assert lines[0].split("  ")[0] == "HOST"
    assert re.split("  +", lines[1]) == [
        "gpu1",
        "1.0 kB",
        "1:01",
        "1.0 kB",
        "2.0 kB",
        "3.0 kB",
        "4.0 kB",
        "1.5 kB of 1.0 GB",
        "7.0 kB",
    ]
    assert lines[2:] == ["gpu1: kit's own image first", "gpu1: load t", "gpu1: place model m"]


def test_what_is_sent_is_said_in_a_line_before_it_is() -> None:
    nothing = ship_step(host="gpu3", send_bytes=0)
    bare = ship_step(host="gpu2", reused=Reused(0, 0, 0, 0), seconds=None)
    lines = list(planned_briefly(ShipPlan(2000, 1000, (ship_step(), bare, nothing))))
    assert lines == [
        (
            "gpu1: sends 1.0 kB, about 1:01; 1.0 kB are there; 2.0 kB came before; "
            "3.0 kB in frames of older blobs"
        ),
        "gpu2: sends 1.0 kB",
        "1.0 kB leave this machine; hosts pass them on",
    ]


def test_a_lock_tells_what_changed_and_what_is_open() -> None:
    lines = list(
        preparing._locked(
            Locked("kit.lock", 2, 1, ("image train: changed",), ("train: no index",), first=False)
        )
    )
    assert "  image train: changed" in lines
    assert "  train: no index" in lines
    unchanged = Locked("kit.lock", 2, 1, (), (), first=False)
    assert list(preparing._locked(unchanged)) == ["kit.lock: unchanged; 2 images, 1 models and datasets"]


def test_a_bundle_is_told_part_by_part() -> None:
    assert list(preparing._made(Made("demo", "sha256:x", "/b", 5, ())))[-1] == "unsigned"
    plan = BundlePlan("demo", "/b", ("train",), (("model m", 2, 1000),))
    assert list(preparing._planned(plan, ("gpu1", "gpu2")))[1:] == [
        "  build or pull image train",
        "  fetch model m: 2 files, 1.0 kB",
        "would ship it to gpu1, gpu2",
    ]


def test_a_verified_bundle_is_still_called_unsigned() -> None:
    from kit.bundle.verify import VerifyReport

    lines = list(reading._verified(VerifyReport(3, 100), Provenance(Verdict())))
    assert lines == ["whole: 3 blobs, 100 B; unsigned", "who made it is not proven"]


def test_a_verified_bundle_tells_who_signed_it_and_that_it_is_older() -> None:
    from kit.bundle.verify import VerifyReport

    newer = SeenBundle("2026-05-01T12:30:00Z", "sha256:x", "2026-05-02T00:00:00Z")
    provenance = Provenance(
        Verdict("signed", "alice", "ssh-ed25519", "SHA256:x"), Older("2026-03-01T00:00:00Z", newer)
    )
    (line,) = reading._verified(VerifyReport(3, 100), provenance)
    assert line.startswith("whole: 3 blobs, 100 B; signed by alice (ssh-ed25519 SHA256:x); older than")
    assert line.endswith("2026-05-01T12:30:00Z seen here")
