from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.source import BundleSource
from kit.errors import EngineError, TransferError, UnreachableError, VerificationError
from kit.host.port import Argv, Completed
from kit.ship.have import Have
from kit.ship.head_start import sent_ahead
from kit.ship.plan import MARGIN
from tests.unit.host.factories import host_facts
from tests.unit.ship.factories import host_plan, ship_bundle_source
from tests.unit.ship.fake_host import FakeHost, FakeLane
from tests.unit.ship.test_agent_trust import policy
from tests.unit.ship.test_ship import CountingProgress, everything, make_host, ship


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


def early_bytes(host: FakeHost) -> int:
    return sum(path.stat().st_size for path in (host.root / "partial").glob("early.*"))


class Loading(FakeHost):
    """Takes kit's image in only when something else has happened."""

    until: Callable[[FakeHost], bool]
    came_early = 0
    fails: Exception | None = None

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        if argv[:2] == ("docker", "load"):
            deadline = time.monotonic() + 20
            while not self.until() and time.monotonic() < deadline:  # type: ignore[call-arg,misc]
                time.sleep(0.01)
            self.came_early = early_bytes(self)
            if self.fails is not None:
                raise self.fails
        return super().run(argv, stdin=stdin, timeout=timeout)


def loading(tmp_path: Path, source: BundleSource, until: Callable[[FakeHost], bool]) -> Loading:
    made = Loading(tmp_path / "gpu1", source.manifest)
    made.folder.mkdir()
    made.until = lambda: until(made)  # type: ignore[misc,assignment]
    for image in source.manifest.images:
        made.engine.offer(image)
    return made


def all_bytes(source: BundleSource) -> int:
    return sum(send.size for send in host_plan(source.manifest).sends)


def test_blobs_come_while_kits_image_is_loaded_and_are_sent_once(
    tmp_path: Path, source: BundleSource
) -> None:
    size = all_bytes(source)
    host = loading(tmp_path, source, lambda host: early_bytes(host) == size)
    progress = CountingProgress()
    (receipt,) = ship(source, host, progress=progress)
    assert host.came_early == host.blob_bytes == size
    assert host.files() == everything(source)
    assert progress.totals == progress.done == {"gpu1": receipt.sent_bytes}


def test_a_ship_that_ends_meanwhile_costs_nothing_that_came(tmp_path: Path, source: BundleSource) -> None:
    size = all_bytes(source)
    host = loading(tmp_path, source, lambda host: early_bytes(host) == size)
    host.fails = UnreachableError("the connection was lost", where="gpu1")
    with pytest.raises(TransferError, match="on the way"):
        ship(source, host)
    host.fails, host.until = None, lambda: True  # type: ignore[assignment,misc]
    (receipt,) = ship(source, host)
    assert host.blob_bytes == size
    assert receipt.there_bytes == size
    assert host.files() == everything(source)


def test_what_fails_is_the_image_when_its_load_does(tmp_path: Path, source: BundleSource) -> None:
    host = loading(tmp_path, source, lambda host: early_bytes(host) > 0)
    host.fails = EngineError("docker load of kit's image failed", where="gpu1")
    with pytest.raises(EngineError, match="docker load"):
        ship(source, host)


class Torn(FakeLane):
    """Is lost as soon as anything but kit's image is to go over it."""

    def write(self, data: bytes) -> None:
        if data.startswith(b"early."):
            self._host.commands.append(("early",))
            raise UnreachableError("a lane was closed", where="gpu1")
        super().write(data)


def test_lanes_that_are_lost_ahead_of_the_agent_are_no_error(tmp_path: Path, source: BundleSource) -> None:
    class Tearing(Loading):
        def open_lane(self, *_: Any, **__: Any) -> FakeLane:
            return Torn(self)

    host = Tearing(tmp_path / "gpu1", source.manifest)
    host.folder.mkdir()
    host.until = lambda: ("early",) in host.commands  # type: ignore[assignment,misc]
    for image in source.manifest.images:
        host.engine.offer(image)
    (receipt,) = ship(source, host)
    assert ("early",) in host.commands
    assert receipt.there_bytes == 0
    assert host.files() == everything(source)


class Lying(FakeLane):
    """Says that it took in what goes ahead, and keeps other bytes."""

    def write(self, data: bytes) -> None:
        early = self._left and self._place[0].name.startswith("early")
        super().write(bytes(len(data)) if early else data)


def test_bytes_that_came_early_and_are_wrong_are_sent_again(tmp_path: Path, source: BundleSource) -> None:
    class Garbling(Loading):
        def open_lane(self, *_: Any, **__: Any) -> FakeLane:
            return Lying(self)

    size = all_bytes(source)
    host = Garbling(tmp_path / "gpu1", source.manifest)
    host.folder.mkdir()
    host.until = lambda: early_bytes(host) == size  # type: ignore[assignment,misc]
    for image in source.manifest.images:
        host.engine.offer(image)
    ship(source, host)
    assert host.blob_bytes == 2 * size
    assert host.files() == everything(source)


def test_in_a_chain_nothing_goes_ahead(tmp_path: Path, source: BundleSource) -> None:
    class Noting(FakeHost):
        early = False

        def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
            if argv[:2] == ("docker", "load"):
                time.sleep(0.2)
                self.early = early_bytes(self) > 0
            return super().run(argv, stdin=stdin, timeout=timeout)

    hosts = []
    for name in ("gpu1", "gpu2"):
        host = Noting(tmp_path / name, source.manifest, name)
        host.folder.mkdir()
        for image in source.manifest.images:
            host.engine.offer(image)
        hosts.append(host)
    ship(source, *hosts)
    assert not any(host.early for host in hosts)


def test_blobs_of_which_something_is_there_are_left_to_the_agent(source: BundleSource) -> None:
    plan = host_plan(source.manifest)
    begun, *fresh = [send.blob for send in plan.sends if send.size]
    again = host_plan(source.manifest, have=Have(partial={begun.digest: 1}))
    queue = sent_ahead(again, host_facts(), source).blobs
    digests = set()
    while record := queue.take(1 << 30):
        digests.add(record.digest)
    assert digests == {blob.digest for blob in fresh}


def test_nothing_goes_ahead_where_there_is_no_room_for_it_beside_kits_image(source: BundleSource) -> None:
    plan = host_plan(source.manifest)
    enough, shared = plan.disk_bytes + plan.kit_bytes + MARGIN, plan.engine_bytes

    def ahead(free: int, *, one_disk: bool) -> int:
        facts = host_facts(free_bytes=free, engine_on_root_disk=one_disk)
        return sent_ahead(plan, facts, source).blobs.left

    assert ahead(enough, one_disk=False) == all_bytes(source)
    assert ahead(enough - 1, one_disk=False) == 0
    assert ahead(enough + shared, one_disk=True) == all_bytes(source)
    assert ahead(enough + shared - 1, one_disk=True) == 0


def test_nothing_goes_ahead_to_a_host_that_judges_the_bundle_first(
    tmp_path: Path, source: BundleSource
) -> None:
    host = make_host(tmp_path / "gpu1", source)
    policy(host, "require_signature: true\nallowed_signers: signers\n")
    with pytest.raises(VerificationError, match="unsigned"):
        ship(source, host)
    assert host.blob_bytes == 0
    assert sent_ahead(host_plan(source.manifest), host_facts(), source).blobs.left > 0
    assert (
        sent_ahead(host_plan(source.manifest, have=Have(judges=True)), host_facts(), source).blobs.left == 0
    )
