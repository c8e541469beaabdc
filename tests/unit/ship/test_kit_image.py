from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.bundle.source import BundleSource
from kit.errors import EngineError, TransferError, UnreachableError, VerificationError
from kit.host.port import Argv, Completed
from kit.ship.head_start import NOTHING_AHEAD
from kit.ship.kit_image import DIGEST, PIECES, send_kit_image
from kit.ship.lanes.carrier import Heard
from kit.ship.lanes.lanes import destination
from tests.unit.host.factories import host_facts
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.fake_host import FakeHost, FakeLane


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


class Silent(FakeLane):
    """Takes everything in, and is lost before it says so."""

    def read_line(self) -> bytes:
        super().read_line()
        return b""


class Losing(FakeHost):
    """Loses every lane as long as it is told to."""

    losing = True

    def open_lane(self, argv: Argv, **more: Any) -> FakeLane:
        return Silent(self) if self.losing else super().open_lane(argv, **more)


class Rivalled(FakeHost):
    """Another ship loads the image, and takes the archive away, just before this one's turn."""

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        if argv[2:3] == (DIGEST,):
            super().run(("docker", "load", "-q", "-i", argv[-1]))
            Path(argv[-1]).unlink()
        return super().run(argv, stdin=stdin, timeout=timeout)


def send(host: FakeHost, source: BundleSource) -> int:
    """Send it; return the bytes that left."""
    (host.root / "partial").mkdir(parents=True, exist_ok=True)
    sent: list[int] = []
    image = source.manifest.image("kit")
    assert image is not None
    to = destination(host, str(host.root), host_facts())
    heard = Heard(sent.append, lambda _: None, lambda _: None)
    send_kit_image(to, host_facts(), source, image, heard, NOTHING_AHEAD)
    return sum(sent)


def archives(host: FakeHost) -> list[Path]:
    return list((host.root / "partial").glob("kit-image*"))


def test_it_is_sent_loaded_and_taken_away(tmp_path: Path, source: BundleSource) -> None:
    host = FakeHost(tmp_path / "host", source.manifest)
    assert send(host, source) == host.received > 0
    assert archives(host) == []
    assert len(host.engine.images) == 1


def test_what_came_before_the_line_was_lost_is_not_sent_again(tmp_path: Path, source: BundleSource) -> None:
    host = Losing(tmp_path / "host", source.manifest)
    with pytest.raises(UnreachableError):
        send(host, source)
    assert len(archives(host)) == 1
    host.losing = False
    assert send(host, source) == 0
    assert archives(host) == []
    assert len(host.engine.images) == 1


def test_what_came_but_is_not_what_was_sent_is_sent_again(tmp_path: Path, source: BundleSource) -> None:
    host = Losing(tmp_path / "host", source.manifest)
    with pytest.raises(UnreachableError):
        send(host, source)
    (path,) = archives(host)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    host.losing = False
    assert send(host, source) > 0
    assert archives(host) == []
    assert len(host.engine.images) == 1


def test_other_bytes_on_the_host_are_refused_and_taken_away(tmp_path: Path, source: BundleSource) -> None:
    host = FakeHost(tmp_path / "host", source.manifest, garble_archive=True)
    with pytest.raises(VerificationError, match="other bytes"):
        send(host, source)
    assert archives(host) == []
    assert host.engine.images == {}


def test_an_archive_that_vanished_is_no_success(tmp_path: Path, source: BundleSource) -> None:
    class Vanishing(FakeHost):
        def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
            if argv[2:3] == (DIGEST,):
                Path(argv[-1]).unlink()
            return super().run(argv, stdin=stdin, timeout=timeout)

    with pytest.raises(TransferError, match="not taken in"):
        send(Vanishing(tmp_path / "host", source.manifest), source)


def test_an_archive_that_another_ship_loaded_meanwhile_is_a_success(
    tmp_path: Path, source: BundleSource
) -> None:
    host = Rivalled(tmp_path / "host", source.manifest)
    send(host, source)
    assert len(host.engine.images) == 1


def test_what_an_engine_refused_is_not_sent_again(tmp_path: Path, source: BundleSource) -> None:
    class Full(FakeHost):
        def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
            if argv[:2] == ("docker", "load"):
                return Completed(1, b"", b"no space left on device")
            return super().run(argv, stdin=stdin, timeout=timeout)

    host = Full(tmp_path / "host", source.manifest)
    with pytest.raises(EngineError, match="docker load") as caught:
        send(host, source)
    assert "no space" in caught.value.why
    before = host.received
    assert send(FakeHost(tmp_path / "host", source.manifest), source) == 0
    assert archives(host) == []
    assert before > 0


@pytest.mark.parametrize("said", [b"x" * 64, b"0" * 63, b"; rm -rf /", b"0" * 64 + b"\n\x1b[2J"])
def test_digests_that_are_none_are_not_believed(tmp_path: Path, source: BundleSource, said: bytes) -> None:
    class Liar(FakeHost):
        def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
            if argv[2:3] == (PIECES,):
                return Completed(0, said, b"")
            return super().run(argv, stdin=stdin, timeout=timeout)

    assert send(Liar(tmp_path / "host", source.manifest), source) > 0
