"""Ships to several hosts in memory, whose agents pass frames on to each other over loopback; real disks."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.source import BundleSource
from kit.errors import EngineError, TransferError, UnreachableError
from kit.progress import NoProgress
from kit.ship import ship as ship_module
from kit.ship.agent.order import Order
from kit.ship.ship import Outcome, plan_hosts, ship_planned
from tests.unit.bundle.factories import local_tree
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import WANTED, ship_bundle_source
from tests.unit.ship.fake_host import FakeHost, FakeInput

pytestmark = pytest.mark.slow
NAMES = ("gpu1", "gpu2", "gpu3", "gpu4")
MIB = 1 << 20
WEIGHTS = 24 * MIB


@pytest.fixture(autouse=True)
def _on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship_module, "addresses_of", lambda *_: ("127.0.0.1",))


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    noise = random.Random(5)
    files = {"config.json": b"{}", "weights/model.safetensors": noise.randbytes(WEIGHTS)}
    return ship_bundle_source(tmp_path, trees=(local_tree(tmp_path / "model", files),))


class Notes(NoProgress):
    def note(self, text: str) -> None:
        print(text)


class DyingHost(FakeHost):
    """Ends its agent, and every connection, when so many frames are there."""

    dies_after = 1 << 30

    def carry_out(
        self, order: Order, emit: Callable[[dict[str, Any]], None], lines: FakeInput
    ) -> dict[str, Any]:
        came = 0

        def watched(event: dict[str, Any]) -> None:
            nonlocal came
            if event["event"] == "passing":
                came = max(came, sum(event["came"].values()))
            if self.lost or came > self.dies_after:
                self.lost = True
                raise UnreachableError("the connection was lost", where=self.name)
            emit(event)

        return super().carry_out(order, watched, lines)


def make_hosts(folder: Path, source: BundleSource) -> dict[str, FakeHost]:
    hosts = {}
    for name in NAMES:
        made = hosts[name] = FakeHost(folder / name, source.manifest, name)
        made.folder.mkdir()
        for image in source.manifest.images:
            made.engine.offer(image)
    return hosts


def ship(source: BundleSource, hosts: dict[str, FakeHost]) -> Outcome:
    specs = {name: host_spec(root=str(host.root)) for name, host in hosts.items()}
    wanted = dict.fromkeys(hosts, WANTED)
    planned = plan_hosts(source, hosts, specs, wanted)
    return ship_planned(source, hosts, specs, wanted, planned, Notes())


def weights(source: BundleSource, host: FakeHost) -> bool:
    """Tell whether a host holds the model's file, whole."""
    tree = source.manifest.tree("model", "tiny")
    assert tree is not None
    file = next(file for file in tree.files if file.path.startswith("weights"))
    place = host.root / "models/tiny" / file.path
    return place.is_file() and place.read_bytes() == b"".join(source.read(file.digest))


def test_the_sender_gives_each_byte_once(tmp_path: Path, source: BundleSource) -> None:
    hosts = make_hosts(tmp_path, source)
    outcome = ship(source, hosts)
    assert not outcome.failures
    assert all(weights(source, host) for host in hosts.values())
    assert WEIGHTS <= sum(host.blob_bytes for host in hosts.values()) < 1.3 * WEIGHTS
    assert {receipt.host for receipt in outcome.receipts} == set(NAMES)
    relayed = sum(receipt.relayed_bytes for receipt in outcome.receipts)
    assert relayed > 2 * WEIGHTS
    assert threading.active_count() < 60


def test_a_second_ship_sends_nothing(tmp_path: Path, source: BundleSource) -> None:
    hosts = make_hosts(tmp_path, source)
    ship(source, hosts)
    before = {name: host.received for name, host in hosts.items()}
    outcome = ship(source, hosts)
    assert [receipt.sent_bytes + receipt.relayed_bytes for receipt in outcome.receipts] == [0] * 4
    assert {name: host.received for name, host in hosts.items()} == before


def test_a_host_that_joins_a_shipped_bundle_gets_it_from_the_others(
    tmp_path: Path, source: BundleSource
) -> None:
    hosts = make_hosts(tmp_path, source)
    ship(source, {name: hosts[name] for name in NAMES[:2]})
    outcome = ship(source, hosts)
    assert not outcome.failures
    assert all(weights(source, host) for host in hosts.values())
    assert hosts["gpu3"].blob_bytes + hosts["gpu4"].blob_bytes < WEIGHTS / 10


@pytest.mark.parametrize("fails", [0, 1, 3])
def test_one_whose_engine_fails_is_passed_by(tmp_path: Path, source: BundleSource, fails: int) -> None:
    hosts = make_hosts(tmp_path, source)
    hosts[NAMES[fails]].engine.fails = "pull"
    outcome = ship(source, hosts)
    assert list(outcome.failures) == [NAMES[fails]]
    assert isinstance(outcome.failures[NAMES[fails]], EngineError)
    assert all(weights(source, host) for name, host in hosts.items() if name != NAMES[fails])
    assert sum(host.blob_bytes for host in hosts.values()) < 2.5 * WEIGHTS


@pytest.mark.parametrize("fails", [0, 2])
def test_one_whose_line_is_cut_is_passed_by(tmp_path: Path, source: BundleSource, fails: int) -> None:
    hosts = make_hosts(tmp_path, source)
    dying = DyingHost(tmp_path / "dying", source.manifest, NAMES[fails], engine=hosts[NAMES[fails]].engine)
    dying.folder.mkdir()
    dying.cut_after, dying.dies_after = 10 * MIB, 0
    hosts[NAMES[fails]] = dying
    outcome = ship(source, hosts)
    assert all(weights(source, host) for name, host in hosts.items() if name not in outcome.failures)
    assert set(outcome.failures) <= {NAMES[fails]}
    assert all(isinstance(error, TransferError) for error in outcome.failures.values())
