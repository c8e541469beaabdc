"""What the fuzzer found and what it begins with: refused or read, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import OPERATED, READERS, run

CORPUS = Path(__file__).with_name("corpus")
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_mended(path: Path) -> None:
    run(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_reader_takes_its_seeds_and_damaged_ones(name: str) -> None:
    for data in seeds()[name]:
        for changed in (data, data[: len(data) // 2], data + b"x", b"\xff" + data[1:], b""):
            run(name, changed)


@pytest.mark.parametrize("name", OPERATED)
def test_documents_changed_in_any_place_are_read_or_refused(name: str) -> None:
    for where in range(0, 256, 11):
        for what in range(24):
            run(f"{name}_operated", bytes([where, where % 7 * 40 + 5, what]))
