"""More than 1,000 volumes: named, grouped, read in place, shipped from, and brought back."""

from __future__ import annotations

import random
from pathlib import Path

from kit.bundle.recover import recover_volumes
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.bundle.verify_volumes import verify_parity
from kit.bundle.volumes import VolumeForm, parse_volumes
from kit.progress import NoProgress
from tests.unit.bundle.factories import as_tarball, local_tree
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.test_ship import everything, make_host, ship

SIZE, PARITY = 4096, 2
WEIGHTS = {"w.safetensors": random.Random(7).randbytes(4_200_000)}


def test_a_set_of_more_than_a_thousand_volumes(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path, trees=(local_tree(tmp_path / "model", WEIGHTS),))
    (tmp_path / "set").mkdir()
    path = as_tarball(source, tmp_path / "set" / "b.tar", VolumeForm(SIZE, PARITY))
    listing = parse_volumes(path.read_bytes(), "")
    assert len(listing.volumes) > 1000
    assert all(len(group) <= 256 for group in listing.groups)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    joined = b"".join(before[name] for name in sorted(before) if name.removeprefix("b.tar.").isdigit())
    assert joined == as_tarball(source, tmp_path / "whole.tar").read_bytes()

    lost = [share for group in listing.groups for share in group[-3:-1]]
    for share in lost:
        path.with_name("b.tar" + listing.suffix(share)).unlink()
    found = recover_volumes(path, NoProgress())
    assert len(found.rebuilt) == len(lost) == PARITY * len(listing.groups)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == before

    opened = open_bundle(path.with_name("b.tar.1001"))
    verify_bundle(opened, NoProgress())
    verify_parity(path, NoProgress())
    host = make_host(tmp_path / "gpu1", opened)
    ship(opened, host)
    assert host.files() == everything(source)
    assert (host.root / "models/tiny/w.safetensors").read_bytes() == WEIGHTS["w.safetensors"]
