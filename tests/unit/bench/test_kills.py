"""What the kill matrix decides by itself: when, whom, and what it says of what it saw."""

from __future__ import annotations

import dataclasses
import json
import random
import threading

import pytest

from kit.bundle.manifest import Blob, Image, Layer
from tests.bench.kill_moment import ALLOWED, MISSED, Outcome
from tests.bench.kill_phase import DONE, ENDED, PHASES, PhaseLog, phase_told
from tests.bench.kill_plan import DELTA, MISHAPS, plan_moments
from tests.bench.kill_rows import from_line, kills_by_phase, page, rows, to_line, verdict
from tests.bench.kill_sight import Whole, half_image, half_tree, halves
from tests.bench.kill_victims import EVERYTHING, KILLS, processes, victims

IMAGE = Image("train", Blob("sha256:c0", 1), Blob("sha256:d0", 1), (Layer("sha256:a0", 10, "sha256:b0", 40),))
LISTING = """\
    PID    PPID COMMAND
      1       0 /bin/sh /etc/lab-init
     34       1 sleep 3600
     70       0 sh
     71      70 ps -eo pid,ppid,args
     33       1 sshd: /usr/sbin/sshd -E /var/log/sshd.log [listener] 0 of 10-100 startups
     35       0 dockerd
     43      35 containerd --config /var/run/docker/containerd/containerd.toml --log-level warn
     50      33 sshd: ops [priv]
     51      50 sshd: ops@notty
     52      51 docker run --rm -i --pull never kit.invalid/kit:0 agent ship --root /aisys/kit
     53      43 /usr/bin/containerd-shim-runc-v2 -namespace moby
     54      53 /opt/kit/bin/python -m kit agent ship --root /aisys/kit
     60      33 sshd: ops [priv]
     61      60 sshd: ops@notty
     62      61 sh -c while read -r name; do dd of="$name"; done
     63      62 dd of=/aisys/kit/partial/00 bs=1048576
"""


@pytest.mark.parametrize(
    ("kind", "pids"),
    [
        ("agent", [(54,)]),
        ("lane", [(62,), (63,)]),
        ("one ssh session", [(50, 51), (60, 61)]),
        ("every ssh session", [(50, 51, 60, 61)]),
        ("sshd and its sessions", [(33, 50, 51, 60, 61)]),
        ("engine", [(35, 43)]),
        (EVERYTHING, [(33, 35, 43, 50, 51, 52, 53, 54, 60, 61, 62, 63)]),
    ],
)
def test_who_dies_is_of_the_kind_that_was_asked_for(kind: str, pids: list[tuple[int, ...]]) -> None:
    found = processes(LISTING)
    struck = {victims(kind, found, random.Random(seed)) for seed in range(30)}
    assert struck == set(pids)


def test_sessions_of_a_newer_sshd_are_sessions() -> None:
    newer = processes(LISTING.replace("sshd: ops", "sshd-session: ops"))
    assert victims("every ssh session", newer, random.Random(0)) == (50, 51, 60, 61)
    assert victims("sshd and its sessions", newer, random.Random(0)) == (33, 50, 51, 60, 61)


def test_nobody_dies_where_nobody_is() -> None:
    assert victims("agent", processes(LISTING)[:6], random.Random(0)) == ()
    assert victims("one ssh session", processes(LISTING)[:6], random.Random(0)) == ()


def test_a_plan_strikes_every_phase_and_everybody_alike() -> None:
    moments = plan_moments(200, seed=7)
    kills = [moment for moment in moments if moment.kind in KILLS]
    for phase in PHASES:
        here = [moment.kind for moment in kills if moment.phase == phase]
        assert len(here) == 50
        assert min(here.count(kind) for kind in KILLS) >= 6
    assert {moment.kind for moment in moments} == {*KILLS, *MISHAPS}
    assert {moment.scenario for moment in moments if moment.phase == "assemble"} == {DELTA}
    assert plan_moments(200, seed=7) == moments != plan_moments(200, seed=8)


def test_a_small_plan_strikes_every_phase() -> None:
    assert {moment.phase for moment in plan_moments(6, seed=1)} == set(PHASES)


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        (b'{"event": "phase", "host": "a", "phase": "send", "send_bytes": 3}\n', "send"),
        (b'{"event": "phase", "host": "a", "phase": "plan"}\n', "have"),
        (b'{"event": "phase", "host": "a", "phase": "place"}\n', "load"),
        (b'{"event": "phase", "host": "a", "phase": "failed"}\n', ENDED),
        (b'{"event": "phase", "host": "a", "phase": "done", "sent_bytes": 3}\n', DONE),
        (b'{"event": "progress", "host": "a"}\n', ""),
        (b"bench: unsigned\n", ""),
        (b"[1]\n", ""),
    ],
)
def test_phases_are_heard(line: bytes, phase: str) -> None:
    assert phase_told(line) == phase


def _after(log: PhaseLog, *phases: str) -> None:
    for number, phase in enumerate(phases, 1):
        threading.Timer(number * 0.05, log.enter, (phase,)).start()


def test_a_strike_waits_for_its_phase_through_others_and_when_it_comes_twice() -> None:
    log = PhaseLog()
    _after(log, "send", "assemble", "send", "load")
    log.wait_into("send", 0.08, 5)
    assert log.phase == "send"
    assert log.seconds_in("send") >= 0.08


def test_a_strike_waits_no_longer_than_its_phase_can_last() -> None:
    log = PhaseLog()
    _after(log, "send", "load", DONE)
    log.wait_into("have", 5, 5)
    assert log.phase == "send"
    log.wait_into("send", 5, 5)
    assert log.phase == "load"
    log.wait_into("load", 5, 5)
    assert log.is_done
    assert log.seconds_in("have") < 5


def test_a_strike_that_never_comes_is_given_up() -> None:
    log = PhaseLog()
    log.wait_into("load", 0, 0.05)
    assert log.phase == "have"
    _after(log, ENDED)
    log.wait_into("assemble", 0, 60)
    assert log.phase == ENDED


def test_an_image_is_whole_or_not_there() -> None:
    right = {"Id": IMAGE.config.digest, "RootFS": {"Layers": [layer.diff_id for layer in IMAGE.layers]}}
    assert half_image(IMAGE, json.dumps(right)) == ""
    assert half_image(IMAGE, '{"message": "No such image"}') == half_image(IMAGE, "") == ""
    assert "has layers" in half_image(IMAGE, json.dumps({**right, "RootFS": {"Layers": []}}))
    assert "sha256:0" in half_image(IMAGE, json.dumps({**right, "Id": "sha256:0"}))


def test_a_tree_is_one_of_its_versions_or_not_there() -> None:
    versions = ({"a": 1, "b/c d": 2}, {"a": 3})
    assert half_tree("m", versions, []) == ""
    assert half_tree("m", versions, [" 0", "a 1", "b/c d 2"]) == ""
    assert half_tree("m", versions, [" 0", "a 3"]) == ""
    for half in ([" 0"], [" 0", "a 1"], [" 0", "a 1", "b/c d 1"], [" 0", "a 3", "b/c d 2"]):
        assert half_tree("m", versions, half)


def test_one_look_tells_images_and_trees_apart() -> None:
    whole = Whole({IMAGE.identity_tag: IMAGE}, {"/m": ({"a": 1},)})
    said = f'== {IMAGE.identity_tag}\n{{"Id": "sha256:0", "RootFS": {{}}}}\n\n== /m\n 0\na 2\n'
    assert len(halves(whole, said)) == 2
    assert halves(whole, f"== {IMAGE.identity_tag}\n\n== /m\n") == []


WELL = Outcome(1, "kill0", "20.10", DELTA, "send", "agent", 6, 1, 30.0, 10, (), (), 99)


def test_outcomes_are_kept_as_they_are() -> None:
    outcome = dataclasses.replace(WELL, wrong=("a",), half=("b", "c"), first_status=None)
    assert from_line(to_line(outcome)) == outcome


def test_only_those_that_were_struck_count() -> None:
    missed = dataclasses.replace(WELL, kind=MISSED, phase=ENDED)
    flipped = dataclasses.replace(WELL, kind=MISHAPS[1])
    assert kills_by_phase([WELL, missed, flipped]) == {"have": 0, "send": 1, "assemble": 0, "load": 0}
    assert len(rows([WELL, missed, flipped])) == 3
    assert "2 of 2 shipments" in verdict([WELL, missed, flipped])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wrong": ("a sum",)}, "a sum"),
        ({"half": ("half a tree",)}, "half seen: half a tree"),
        ({"sent_again": ALLOWED + 1}, "67.1 MB sent again"),
    ],
)
def test_whatever_is_not_well_is_told(change: dict[str, object], words: str) -> None:
    outcome = dataclasses.replace(WELL, **change)  # type: ignore[arg-type]
    assert not outcome.is_well
    text = page([WELL, outcome], 10**9, 20.0, 1)
    assert "1 of 2 shipments" in text
    assert words in text


def test_a_page_of_nothing_is_a_page() -> None:
    assert "0 of 0" in page([], 10**9, 20.0, 1)
