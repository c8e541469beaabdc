"""Packing takes little memory whatever the size: as the operating system counts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab
MOST = 300_000_000
REPOSITORY = Path(__file__).resolve().parents[2]


def test_two_gigabytes_are_packed_in_little_memory(tmp_path: Path) -> None:
    argv = (sys.executable, "-m", "tests.contract.synthetic_pack", str(tmp_path))
    done = subprocess.run(argv, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE)
    used = int(done.stdout)
    print(f"peak memory: {used / 1e6:.0f} MB")
    assert used < MOST
