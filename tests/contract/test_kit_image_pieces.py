"""What is left of an archive that a killed ship sent, as the shells of hosts tell it."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.ship.kit_image import PIECES

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
SIZE = 65_536


def pieces(shell: str, path: Path) -> list[str]:
    argv = (shell, "-c", PIECES, "sh", str(path), str(SIZE))
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    return done.stdout.decode().split()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_piece_is_told_by_its_sha256(tmp_path: Path, shell: str) -> None:
    data = random.Random(1).randbytes(3 * SIZE + 100)
    path = tmp_path / "with a 'blank'"
    path.write_bytes(data)
    said = [hashlib.sha256(data[at : at + SIZE]).hexdigest() for at in range(0, len(data), SIZE)]
    assert pieces(shell, path) == said
    path.write_bytes(data[: 2 * SIZE])
    assert pieces(shell, path) == said[:2]


@pytest.mark.parametrize("shell", SHELLS)
def test_where_nothing_is_left_nothing_is_told(tmp_path: Path, shell: str) -> None:
    assert pieces(shell, tmp_path / "nowhere") == []
    (tmp_path / "empty").touch()
    assert pieces(shell, tmp_path / "empty") == []
