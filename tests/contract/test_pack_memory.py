"""Packing takes little memory whatever the size: measured from outside, as the operating system sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab
MOST = 300_000_000
REPOSITORY = Path(__file__).resolve().parents[2]


def test_two_gigabytes_are_packed_in_little_memory(tmp_path: Path) -> None:
    argv = (sys.executable, "-m", "tests.contract.synthetic_pack", str(tmp_path))
    process = subprocess.Popen(argv, cwd=REPOSITORY)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    used = usage.ru_maxrss * 1024
    print(f"peak memory: {used / 1e6:.0f} MB")
    assert used < MOST
