from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.awake import kept_awake

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's scheduler")


def groups_of(processes: list[subprocess.Popen[bytes]]) -> list[str]:
    """How the kernel names the scheduling group of each, and its weight."""
    return [Path(f"/proc/{process.pid}/autogroup").read_text().strip() for process in processes]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions are no groups here")
def test_each_spinner_is_a_group_of_the_least_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def seen(*words: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(start(*words, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", seen)
    with kept_awake():
        until = time.monotonic() + 10
        while not all(group.endswith(" nice 19") for group in groups_of(started)):
            assert time.monotonic() < until, groups_of(started)
            time.sleep(0.02)
        assert len(set(groups_of(started))) == len(started) > 0
    assert all(process.returncode is not None for process in started)
