"""The shell of a lane, run by the shells and the dd that hosts have."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.ship.lanes.script import Record, lane_argv

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
NAME = "ab" * 32


def run(shell: str, root: Path, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    (root / "partial").mkdir()
    argv = (shell, *lane_argv(str(root))[1:])
    return subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)


def record(offset: int, data: bytes) -> bytes:
    return Record("sha256:" + NAME, 0, 1, offset, len(data)).header + data


@pytest.mark.parametrize("shell", SHELLS)
def test_records_lie_where_they_belong_and_each_is_said_back(tmp_path: Path, shell: str) -> None:
    noise = random.Random(1).randbytes(700_001)
    parts = (
        (600_000, noise[600_000:]),
        (0, noise[:5]),
        (5, noise[5:262_144]),
        (262_144, noise[262_144:600_000]),
    )
    done = run(shell, tmp_path, b"".join(record(*part) for part in parts))
    assert done.returncode == 0, done.stderr
    path = tmp_path / "partial" / NAME
    assert path.read_bytes() == noise
    assert path.stat().st_mode & 0o777 == 0o600
    assert done.stdout.splitlines() == [f"{NAME} {at} {len(data)}".encode() for at, data in parts]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_has_holes_where_nothing_came(tmp_path: Path, shell: str) -> None:
    run(shell, tmp_path, record(64 << 20, b"end"))
    status = (tmp_path / "partial" / NAME).stat()
    assert status.st_size == (64 << 20) + 3
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("shell", SHELLS)
def test_a_disk_that_does_not_take_it_ends_the_lane_and_says_why(tmp_path: Path, shell: str) -> None:
    folder = tmp_path / "partial"
    folder.mkdir()
    (folder / NAME).mkdir()
    done = subprocess.run(
        (shell, *lane_argv(str(tmp_path))[1:]), input=record(0, b"x"), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert NAME in done.stderr.decode()


def test_a_root_with_blanks_and_quotes_is_one_word(tmp_path: Path) -> None:
    root = tmp_path / "a 'b' $c"
    root.mkdir()
    assert run("sh", root, record(0, b"x")).returncode == 0
    assert (root / "partial" / NAME).read_bytes() == b"x"
