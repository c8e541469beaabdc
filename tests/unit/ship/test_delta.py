"""A bundle of which most lies in older blobs on the host: what is planned is what is sent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kit.bundle.frame_index import PIECE
from kit.bundle.source import BundleSource
from kit.errors import UnreachableError
from kit.progress import NoProgress
from kit.ship.ship import plan_hosts, ship_bundle
from tests.unit.bundle.factories import local_tree
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import WANTED, ship_bundle_source
from tests.unit.ship.fake_host import FakeHost

FIRST = random.Random(1).randbytes(2 * PIECE + 1000)
SECOND = FIRST[:-1] + bytes([FIRST[-1] ^ 1])


def bundle(folder: Path, weights: bytes) -> BundleSource:
    folder.mkdir()
    tree = local_tree(folder / "model", {"config.json": b"{}", "weights/model.safetensors": weights})
    return ship_bundle_source(folder, trees=(tree,))


@pytest.fixture
def first(tmp_path: Path) -> BundleSource:
    return bundle(tmp_path / "first", FIRST)


@pytest.fixture
def second(tmp_path: Path) -> BundleSource:
    return bundle(tmp_path / "second", SECOND)


@pytest.fixture
def host(tmp_path: Path, first: BundleSource) -> FakeHost:
    """A host that has the first bundle."""
    made = FakeHost(tmp_path / "gpu1", first.manifest)
    made.folder.mkdir()
    for image in first.manifest.images:
        made.engine.offer(image)
    ship(first, made)
    return made


def ship(source: BundleSource, host: FakeHost) -> int:
    spec = {"gpu1": host_spec(root=str(host.root))}
    (receipt,) = ship_bundle(source, {"gpu1": host}, spec, {"gpu1": WANTED}, NoProgress())
    return receipt.sent_bytes


def planned(source: BundleSource, host: FakeHost) -> tuple[int, int, int]:
    """Bytes to send, of frames of older blobs, and of what was cut off."""
    spec = {"gpu1": host_spec(root=str(host.root))}
    plan = plan_hosts(source, {"gpu1": host}, spec, {"gpu1": WANTED}).hosts["gpu1"].plan
    return plan.send_bytes, plan.older_bytes, plan.partial_bytes


def test_only_what_changed_is_planned_for_and_sent(second: BundleSource, host: FakeHost) -> None:
    sends, older, partial = planned(second, host)
    assert (older, partial) == (2 * PIECE, 0)
    assert 1000 < sends < 2000
    assert ship(second, host) == sends
    assert (host.root / "models/tiny/weights/model.safetensors").read_bytes() == SECOND


def test_a_cut_off_ship_that_had_copied_counts_nothing_twice(second: BundleSource, host: FakeHost) -> None:
    before = planned(second, host)[0]
    host.cut_after = host.blob_bytes
    with pytest.raises(Exception, match="on the way") as caught:
        ship(second, host)
    assert not isinstance(caught.value, UnreachableError)
    host.cut_after, host.lost = None, False
    sends, older, partial = planned(second, host)
    assert partial + older >= 2 * PIECE
    assert sends <= before
    assert ship(second, host) <= before


def test_nothing_is_given_or_read_when_nothing_is_missing(first: BundleSource, host: FakeHost) -> None:
    assert planned(first, host)[:2] == (0, 0)
    assert ship(first, host) == 0
