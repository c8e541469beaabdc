from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.source import BundleSource
from kit.errors import KitError, TransferError, UnreachableError, VerificationError
from kit.host.port import Completed
from kit.ship.framed import FramedBlob, framed_blob, needed_items
from kit.ship.lane_script import Record
from kit.ship.lanes import Lanes
from kit.ship.needed_frames import cut_records, parse_need
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.fake_host import FakeHost, FakeLane


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


def blobs(source: BundleSource) -> dict[str, FramedBlob]:
    items = needed_items(source.manifest.images, source.manifest.trees)
    return {
        digest: framed_blob(item, lambda index: b"".join(source.read(index.digest)))
        for digest, item in items.items()
    }


def all_records(source: BundleSource) -> list[Record]:
    found = blobs(source)
    return list(
        cut_records({digest: ((0, len(blob)),) for digest, blob in found.items() if len(blob)}, found)
    )


class Sender:
    """Lanes to a host, and what they told."""

    def __init__(self, host: FakeHost, source: BundleSource) -> None:
        (host.root / "partial").mkdir(parents=True)
        self.wrote: deque[Record] = deque()
        self.sent: deque[int] = deque()
        self.lanes = Lanes(host, str(host.root), source, self.sent.append, self.wrote.append)


def test_every_record_lies_there_and_is_told_of_once(tmp_path: Path, source: BundleSource) -> None:
    host = FakeHost(tmp_path / "host", source.manifest)
    sender, records = Sender(host, source), all_records(source)
    sender.lanes.send(records)
    assert sorted(sender.wrote, key=str) == sorted(records, key=str)
    assert sum(sender.sent) == sum(record.length for record in records)
    for record in records:
        path = host.root / "partial" / record.digest[7:]
        assert path.read_bytes() == b"".join(source.read(record.digest))


def test_what_a_lost_lane_did_not_finish_goes_over_another(tmp_path: Path, source: BundleSource) -> None:
    class Dying(FakeLane):
        def write(self, data: bytes) -> None:
            del data
            raise UnreachableError("a lane was closed", where="gpu1")

    class OneDies(FakeHost):
        opened = 0
        both = threading.Barrier(2)

        def open_lane(self, argv: tuple[str, ...], **_: Any) -> FakeLane:
            del argv
            self.opened += 1
            mine = self.opened
            self.both.wait(10)
            return Dying(self) if mine == 1 else FakeLane(self)

    host = OneDies(tmp_path / "host", source.manifest)
    sender, records = Sender(host, source), all_records(source)
    sender.lanes.send(records)
    assert sorted(sender.wrote, key=str) == sorted(records, key=str)


def test_when_no_lane_is_left_it_is_said_why(tmp_path: Path, source: BundleSource) -> None:
    host = FakeHost(tmp_path / "host", source.manifest, cut_after=1)
    with pytest.raises(UnreachableError, match="lost"):
        Sender(host, source).lanes.send(all_records(source))


def test_a_file_of_the_bundle_that_ends_early_stops_all(tmp_path: Path, source: BundleSource) -> None:
    record = max(all_records(source), key=lambda record: record.length)
    path = tmp_path / "bundle" / "blobs" / "sha256" / record.digest[7:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    sender = Sender(FakeHost(tmp_path / "host", source.manifest), source)
    with pytest.raises(VerificationError, match="ends early"):
        sender.lanes.send(all_records(source))
    assert record not in sender.wrote


@pytest.mark.parametrize("line", [b"rm -rf", b"0" * 64 + b" 0 1", b"\x1b[2J"])
def test_a_host_that_says_another_thing_is_not_believed(
    tmp_path: Path, source: BundleSource, line: bytes
) -> None:
    class Lying(FakeLane):
        def read_line(self) -> bytes:
            return line if super().read_line() else b""

    class Liar(FakeHost):
        def open_lane(self, argv: tuple[str, ...], **_: Any) -> FakeLane:
            del argv
            return Lying(self)

    sender = Sender(Liar(tmp_path / "host", source.manifest), source)
    with pytest.raises(TransferError, match="did not ask for"):
        sender.lanes.send(all_records(source))
    assert not sender.wrote


def test_a_lane_whose_command_fails_is_no_success(tmp_path: Path, source: BundleSource) -> None:
    class Failing(FakeLane):
        def write(self, data: bytes) -> None:
            pass

        def finish(self) -> Completed:
            super().finish()
            return Completed(1, b"", b"dd: No space left on device")

    class Full(FakeHost):
        def open_lane(self, argv: tuple[str, ...], **_: Any) -> FakeLane:
            del argv
            return Failing(self)

    with pytest.raises(KitError, match="No space left"):
        Sender(Full(tmp_path / "host", source.manifest), source).lanes.send(all_records(source))


def test_records_are_runs_of_whole_frames(source: BundleSource) -> None:
    found = blobs(source)
    for most in (1, 1000, 1 << 30):
        for digest, blob in found.items():
            records = list(cut_records({digest: ((0, len(blob)),)} if len(blob) else {}, found, most))
            assert sum(record.length for record in records) == blob.blob.size
            assert all(record.length <= most or record.stop - record.start == 1 for record in records)


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {"sha256:" + "0" * 64: [[0, 1]]},
        {"x": []},
        {0: [[0, 2]]},
        {0: [[-1, 1]]},
        {0: [[0, True]]},
        {0: [[0.0, 1]]},
        {0: [[0]]},
        {0: [[0, 1], [0, 1]]},
        {0: [[1, 0]]},
        {0: [["0", "1"]]},
        {0: 7},
    ],
)
def test_an_agent_that_asks_for_what_it_was_not_offered_is_refused(
    source: BundleSource, said: object
) -> None:
    found = blobs(source)
    if isinstance(said, dict) and 0 in said:
        said = {next(iter(found)): said[0]}
    if said == {"x": []}:
        assert parse_need(said, found, "gpu1") == {}
        return
    with pytest.raises(TransferError, match="not offered"):
        parse_need(said, found, "gpu1")
