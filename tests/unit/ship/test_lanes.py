from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.source import BundleSource
from kit.errors import KitError, TransferError, UnreachableError, VerificationError
from kit.host.port import Completed
from kit.ship.framed import FramedBlob, FrameRanges, framed_blob, needed_items
from kit.ship.lanes import count as lane_count
from kit.ship.lanes.carrier import Heard
from kit.ship.lanes.feed import BundleFeed
from kit.ship.lanes.lanes import LOSSES, Destination, Lanes
from kit.ship.lanes.record_queue import RecordQueue
from kit.ship.lanes.script import Record
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


def whole(found: dict[str, FramedBlob]) -> dict[str, FrameRanges]:
    return {digest: ((0, len(blob)),) for digest, blob in found.items() if len(blob)}


def everything(source: BundleSource) -> RecordQueue:
    found = blobs(source)
    return RecordQueue(whole(found), found)


def all_records(source: BundleSource) -> list[Record]:
    found = blobs(source)
    return list(cut_records(whole(found), found))


class Sender:
    """Lanes to a host, and what they told."""

    def __init__(self, host: FakeHost, source: BundleSource) -> None:
        (host.root / "partial").mkdir(parents=True)
        self.wrote: deque[Record] = deque()
        self.sent: deque[int] = deque()
        self.notes: deque[str] = deque()
        heard = Heard(self.sent.append, self.wrote.append, self.notes.append)
        to = Destination(host, str(host.root), 2, aes=True, round_trip=0.0)
        self.lanes = Lanes(to, BundleFeed(source), heard)


def test_every_record_lies_there_and_is_told_of_once(tmp_path: Path, source: BundleSource) -> None:
    host = FakeHost(tmp_path / "host", source.manifest)
    sender, records = Sender(host, source), all_records(source)
    sender.lanes.send(everything(source))
    assert sorted(sender.wrote, key=str) == sorted(records, key=str)
    assert sum(sender.sent) == sum(record.length for record in records)
    for record in records:
        path = host.root / "partial" / record.digest[7:]
        assert path.read_bytes() == b"".join(source.read(record.digest))


class Dying(FakeLane):
    """Is lost before the first byte arrives."""

    def write(self, data: bytes) -> None:
        del data
        raise UnreachableError("a lane was closed", where="gpu1")


class Falling(FakeLane):
    """Takes everything in, and is lost before it says so."""

    def read_line(self) -> bytes:
        super().read_line()
        return b""


class Choosy(FakeHost):
    """Opens lanes of these kinds, one after another; afterwards good ones."""

    kinds: tuple[Any, ...] = ()
    opened = 0

    def open_lane(self, argv: tuple[str, ...], **_: Any) -> FakeLane:
        del argv
        kind = self.kinds[self.opened] if self.opened < len(self.kinds) else FakeLane
        self.opened += 1
        if isinstance(kind, KitError):
            raise kind
        lane: FakeLane = kind(self)
        return lane


REFUSED = UnreachableError("the host takes no further connection just now", where="gpu1")


@pytest.mark.parametrize("kinds", [(Dying,), (Falling, Dying), (REFUSED, REFUSED)])
def test_what_a_lost_lane_did_not_finish_goes_over_another(
    tmp_path: Path, source: BundleSource, kinds: tuple[Any, ...]
) -> None:
    host = Choosy(tmp_path / "host", source.manifest)
    host.kinds = kinds
    sender, records = Sender(host, source), all_records(source)
    sender.lanes.send(everything(source))
    assert sorted(sender.wrote, key=str) == sorted(records, key=str)
    assert host.opened == len(kinds) + 1


def test_it_is_given_up_when_one_lane_after_another_is_lost(tmp_path: Path, source: BundleSource) -> None:
    host = Choosy(tmp_path / "host", source.manifest)
    host.kinds = (Dying,) * 100
    with pytest.raises(UnreachableError, match="closed"):
        Sender(host, source).lanes.send(everything(source))
    assert host.opened == LOSSES


def test_a_host_that_takes_one_lane_gets_everything_over_that_one(
    tmp_path: Path, source: BundleSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_count, "SMALL", 0)
    begun, refused = threading.Event(), threading.Event()

    class Waiting(FakeLane):
        def write(self, data: bytes) -> None:
            begun.set()
            refused.wait(10)
            super().write(data)

    class OneOnly(Choosy):
        turns = itertools.count()  # Both are opened at once: the counter tells them apart for certain.

        def open_lane(self, argv: tuple[str, ...], **more: Any) -> FakeLane:
            if next(self.turns):
                begun.wait(10)
                # Beside one that works, a refusal is an answer; it is told of before that one goes on.
                threading.Timer(0.2, refused.set).start()
            return super().open_lane(argv, **more)

    host = OneOnly(tmp_path / "host", source.manifest)
    host.kinds = (Waiting, REFUSED)
    sender, records = Sender(host, source), all_records(source)
    sender.lanes.send(everything(source))
    assert sorted(sender.wrote, key=str) == sorted(records, key=str)
    assert host.opened == 2


def test_sending_that_is_stopped_ends_though_a_lane_is_still_being_opened(
    tmp_path: Path, source: BundleSource
) -> None:
    under_way, late = threading.Event(), threading.Event()

    class Late(Choosy):
        def open_lane(self, argv: tuple[str, ...], **more: Any) -> FakeLane:
            under_way.set()
            late.wait(30)
            return super().open_lane(argv, **more)

    sender = Sender(Late(tmp_path / "host", source.manifest), source)

    def stop() -> None:
        under_way.wait(10)
        sender.lanes.abort()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(TransferError, match="stopped"):
        sender.lanes.send(everything(source))
    stopping.join()
    late.set()
    assert not sender.wrote


class Standing(FakeLane):
    """Takes nothing in until it is ended."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.begun, self.ended = threading.Event(), threading.Event()

    def write(self, data: bytes) -> None:
        del data
        self.begun.set()
        assert self.ended.wait(20)
        raise UnreachableError("the connection was lost", where="gpu1")

    def abort(self) -> None:
        self.ended.set()
        super().abort()


def test_what_somebody_else_gives_the_host_by_now_is_not_sent_to_its_end(
    tmp_path: Path, source: BundleSource
) -> None:
    lanes: list[Standing] = []

    class Slow(Choosy):
        def open_lane(self, argv: tuple[str, ...], **more: Any) -> FakeLane:
            del argv, more
            lanes.append(Standing(self))
            return lanes[-1]

    found = blobs(source)
    due = set(found)
    sender = Sender(Slow(tmp_path / "host", source.manifest), source)
    sending = threading.Thread(
        target=lambda: sender.lanes.send(RecordQueue(whole(found), found, due.__contains__))
    )
    sending.start()
    while not lanes:
        time.sleep(0.01)
    assert lanes[0].begun.wait(20)
    due.clear()
    sending.join(20)
    assert not sending.is_alive()
    assert all(lane.ended.is_set() for lane in lanes)
    assert not sender.wrote


def test_when_no_lane_is_left_it_is_said_why(tmp_path: Path, source: BundleSource) -> None:
    host = FakeHost(tmp_path / "host", source.manifest, cut_after=1)
    with pytest.raises(UnreachableError, match="lost"):
        Sender(host, source).lanes.send(everything(source))


def test_a_file_of_the_bundle_that_ends_early_stops_all(tmp_path: Path, source: BundleSource) -> None:
    record = max(all_records(source), key=lambda record: record.length)
    path = tmp_path / "bundle" / "blobs" / "sha256" / record.digest[7:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    sender = Sender(FakeHost(tmp_path / "host", source.manifest), source)
    with pytest.raises(VerificationError, match="ends early"):
        sender.lanes.send(everything(source))
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
        sender.lanes.send(everything(source))
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
        Sender(Full(tmp_path / "host", source.manifest), source).lanes.send(everything(source))


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
