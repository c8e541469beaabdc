"""What is done on hosts while their bundle is packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack_listener import PackedImage
from kit.bundle.source import BundleSource
from kit.errors import UnreachableError
from kit.progress import NoProgress
from kit.project.load import LoadedProject
from kit.workflow.ship_ahead import ShipAhead
from kit.workflow.ship_project import ship_project
from tests.unit.workflow.test_ship_project import GONE, Connect, connect, loaded, source

__all__ = ["connect", "loaded", "source"]
BOTH = ("gpu1", "gpu2")


class Notes(NoProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def packed(source: BundleSource, name: str) -> PackedImage:
    image = source.manifest.image(name)
    assert image is not None
    return PackedImage(image, FolderTarget(Path(source.where)), "being packed")


def has_kit(connect: Connect, host: str) -> bool:
    kit = connect.hosts[host].manifest.image("kit")
    assert kit is not None
    return connect.hosts[host].engine.inspect(kit.identity_tag) is not None


def test_kits_image_goes_to_every_host_and_nothing_else(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    notes = Notes()
    ahead = ShipAhead(loaded, BOTH, connect, notes)
    ahead.reach()
    assert notes.notes == []
    assert not any(connect.hosts[name].root.exists() for name in BOTH)
    ahead.packed(packed(source, "kit"))
    ahead.packed(packed(source, "train"))
    ahead.release()
    assert all(has_kit(connect, name) for name in BOTH)
    assert sorted(note.partition(":")[0] for note in notes.notes) == ["gpu1", "gpu2"]
    loads = [argv for argv in connect.hosts["gpu1"].commands if "load" in argv]
    assert not ship_project(loaded, source, BOTH, connect, NoProgress()).failures
    assert [argv for argv in connect.hosts["gpu1"].commands if "load" in argv] == loads


def test_a_host_that_does_not_answer_is_told_of_before_anything_is_built(
    loaded: LoadedProject, connect: Connect
) -> None:
    notes = Notes()
    connect.raises["gpu1"] = GONE
    ShipAhead(loaded, BOTH, connect, notes).reach()
    assert notes.notes == ["gpu1: it does not answer over SSH"]
    connect.raises["gpu2"] = UnreachableError("nor this one", where="gpu2")
    with pytest.raises(UnreachableError):
        ShipAhead(loaded, BOTH, connect, notes).reach()


def test_what_fails_meanwhile_is_left_to_the_ship(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    notes = Notes()
    ahead = ShipAhead(loaded, BOTH, connect, notes)
    connect.hosts["gpu1"].garble_archive = True
    ahead.packed(packed(source, "kit"))
    ahead.release()
    assert [has_kit(connect, name) for name in BOTH] == [False, True]
    assert any(note.startswith("gpu1: ") and "tried again" in note for note in notes.notes)


def test_nothing_is_waited_for_when_no_image_was_packed(loaded: LoadedProject, connect: Connect) -> None:
    ShipAhead(loaded, BOTH, connect, Notes()).release()
