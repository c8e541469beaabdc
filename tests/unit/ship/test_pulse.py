"""A frozen agent is given up by name; one that works for long, or never gave signs of life, is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import TransferError, UnreachableError
from kit.progress import NoProgress
from kit.ship.pulse import PulseWatch, beating
from kit.ship.ship import ship_bundle
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import WANTED, ship_bundle_source
from tests.unit.ship.lying_host import LyingHost

ALIVE = {"event": "alive"}


def test_signs_of_life_come_as_long_as_the_work_lasts() -> None:
    heard: list[Any] = []
    enough = threading.Event()

    def emit(document: Any) -> None:
        heard.append(document)
        if len(heard) >= 3:
            enough.set()

    with beating(emit, every=0.005):
        assert enough.wait(20)
    count = len(heard)
    time.sleep(0.02)
    assert heard == [ALIVE] * count


def test_work_ends_though_nobody_listens() -> None:
    def emit(document: Any) -> None:
        raise BrokenPipeError(document)

    with beating(emit, every=0.001):
        pass


def watched(silence: float, *events: Any) -> tuple[PulseWatch, threading.Event]:
    lost = threading.Event()
    watch = PulseWatch(lambda _: lost.set(), silence)
    for event in events:
        with watch.hearing(event):
            pass
    return watch, lost


def test_who_gave_signs_of_life_and_goes_silent_is_lost() -> None:
    _, lost = watched(0.05, ALIVE)
    assert lost.wait(20)


def test_who_never_gave_any_is_waited_for() -> None:
    _, lost = watched(0.01, {"event": "accepted"})
    assert not lost.wait(0.1)


def test_who_gives_them_is_kept() -> None:
    watch, lost = watched(10, ALIVE)
    for _ in range(20):
        with watch.hearing(ALIVE):
            time.sleep(0.001)
    assert not lost.is_set()
    watch.end()


def test_what_is_long_dealt_with_here_is_no_silence_there() -> None:
    watch, lost = watched(0.02)
    with watch.hearing(ALIVE):
        assert not lost.wait(0.2)
        watch.end()


class FrozenHost(LyingHost):
    """Its agent says a few things, then nothing until the connection is closed."""

    closed: threading.Event

    def close(self) -> None:
        self.closed.set()

    def freeze(self) -> Iterator[Any]:
        yield {"event": "accepted"}
        yield ALIVE
        assert self.closed.wait(20), "nobody gave it up"
        raise UnreachableError("closed", where=self.name)


def test_a_shipment_to_a_frozen_agent_ends_and_names_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.ship.pulse.SILENCE", 0.1)
    source = ship_bundle_source(tmp_path)
    host = FrozenHost(tmp_path / "gpu1", source.manifest)
    host.closed = threading.Event()
    host.says = host.freeze()
    (tmp_path / "gpu1").mkdir()
    host.engine.offer(*source.manifest.images[:1])
    with pytest.raises(TransferError) as caught:
        ship_bundle(
            source, {"gpu1": host}, {"gpu1": host_spec(root=str(host.root))}, {"gpu1": WANTED}, NoProgress()
        )
    assert caught.value.where == "gpu1"
    assert "no sign of life" in caught.value.what
    assert "run kit ship again" in caught.value.fix
