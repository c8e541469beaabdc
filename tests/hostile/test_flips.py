"""Any single flipped byte, over every kind of file in a bundle, is refused. `make bench` has 1,000."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.bench.flips import flip_table

pytestmark = pytest.mark.slow
FLIPS = 200


def test_flipped_bits_are_refused() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        rows = flip_table(Path(folder), FLIPS, seed=1)
    assert sum(row.flips for row in rows) == FLIPS
    assert not [row for row in rows if row.missed]
    assert {"folder", "tarball", "volumes"} == {row.form for row in rows}
    assert {"kit.json.sig", "frame index of a layer", "frame index of a file", "document", "padding"} <= {
        row.kind for row in rows
    }
