from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kit.errors import ConfigError, UnfitError, UnreachableError, VerificationError
from kit.hub.fetch_tree import check_room_for, fetch_from_hub, fetch_tree
from kit.hub.pin_tree import pin_from_hub, pin_tree
from kit.progress import NoProgress
from kit.project.lock import PinnedFile
from kit.project.model import Mirrors, ModelSpec
from tests.unit.hub.fake_hub import COMMIT, HURRIED, FakeHub, Part
from tests.unit.hub.test_pin_tree import FILES, HUB_MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.pack_request import LocalTree
    from kit.project.lock import TreePin


def hub_pin(tmp_path: Path) -> TreePin:
    return pin_from_hub("qwen3", HUB_MODEL, tmp_path / "other-cache", FakeHub(FILES), NoProgress(), HURRIED)


def fetch(pin: TreePin, tmp_path: Path, hub: FakeHub) -> LocalTree:
    return fetch_from_hub(pin, tmp_path / "cache", hub, NoProgress(), HURRIED)


def test_a_repository_is_fetched_whole(tmp_path: Path) -> None:
    hub = FakeHub(FILES)
    tree = fetch(hub_pin(tmp_path), tmp_path, hub)
    assert tree.source == f"modelscope:Qwen/Qwen3-0.6B@{COMMIT}"
    assert {file.path: file.place.read_bytes() for file in tree.files} == FILES
    assert [call[0] for call in hub.calls] == ["open", "open"]


def test_what_is_here_is_not_fetched_again(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    fetch(pin, tmp_path, FakeHub(FILES))
    again = FakeHub(FILES, down=True)
    assert fetch(pin, tmp_path, again).files
    assert again.calls == []


def test_what_is_here_is_not_hashed_again(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    place = fetch(pin, tmp_path, FakeHub(FILES)).files[0].place
    then = place.stat().st_mtime_ns
    place.chmod(0o644)
    place.write_bytes(b"[]")
    os.utime(place, ns=(then, then))
    # Nobody could tell without reading it; packing it would.
    assert fetch(pin, tmp_path, FakeHub(FILES, down=True)).files[0].place.read_bytes() == b"[]"


def test_a_file_damaged_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    place = fetch(pin, tmp_path, FakeHub(FILES)).files[0].place
    place.chmod(0o644)
    place.write_bytes(b"[]")
    os.utime(place, (1, 1))
    assert fetch(pin, tmp_path, FakeHub(FILES)).files[0].place.read_bytes() == b"{}"


def test_a_hub_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        fetch(hub_pin(tmp_path), tmp_path, FakeHub(FILES, down=True))


def test_two_revisions_share_what_they_have_in_common(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    fetch(pin, tmp_path, FakeHub(FILES))
    later = FakeHub({**FILES, "README.md": b"new"}, commit="d" * 40)
    moved = pin_from_hub("qwen3", HUB_MODEL, tmp_path / "x", later, NoProgress(), HURRIED)
    tree = fetch(moved, tmp_path, later)
    assert later.opened == [("README.md", 0)]
    assert len(tree.files) == 3


def test_a_tag_that_moved_is_noticed_before_the_first_byte(tmp_path: Path) -> None:
    pin = replace(hub_pin(tmp_path), revision="v1.0.0")
    hub = FakeHub({**FILES, "config.json": b"[]"})
    with pytest.raises(VerificationError, match=r"v1\.0\.0 moved(.|\n)*config\.json(.|\n)*kit lock"):
        fetch(pin, tmp_path, hub)
    assert hub.opened == []


def test_room_is_checked_before_the_first_byte_with_the_numbers(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    huge = replace(pin, files=(*pin.files, PinnedFile("x", 10**15, "sha256:" + "0" * 64)))
    hub = FakeHub(FILES)
    with pytest.raises(UnfitError, match=r"1000000\.0 GB are to be fetched(.|\n)*free"):
        fetch(huge, tmp_path, hub)
    with pytest.raises(UnfitError):
        check_room_for((pin, huge), tmp_path / "cache")
    assert hub.calls == []


@pytest.mark.parametrize("digest", ["", "sha256:../../x", "sha256:" + "g" * 64, "md5:" + "0" * 32])
def test_a_lock_with_a_digest_that_is_none_is_refused(tmp_path: Path, digest: str) -> None:
    pin = replace(hub_pin(tmp_path), files=(PinnedFile("a", 1, digest),))
    with pytest.raises(ConfigError, match=r"no size and sha256 of 'a'(.|\n)*kit lock"):
        fetch(pin, tmp_path, FakeHub(FILES))


def test_one_failing_file_ends_it_and_leaves_what_the_others_have(tmp_path: Path) -> None:
    wrong = Part(b"[]")
    hub = FakeHub(FILES, parts={"config.json": [wrong, wrong]})
    with pytest.raises(VerificationError, match=r"config\.json"):
        fetch(hub_pin(tmp_path), tmp_path, hub)
    again = FakeHub(FILES)
    assert len(fetch(hub_pin(tmp_path), tmp_path, again).files) == len(FILES)
    assert ("config.json", 0) in again.opened


def test_a_pending_pin_is_refused(tmp_path: Path) -> None:
    pin = replace(hub_pin(tmp_path), files=(), pending=("the files",))
    with pytest.raises(ConfigError, match="kit lock"):
        fetch_tree(pin, tmp_path, tmp_path / "cache", NoProgress())


@pytest.fixture
def folder_pin(tmp_path: Path) -> TreePin:
    (tmp_path / "model").mkdir()
    for name, data in FILES.items():
        (tmp_path / "model" / name).write_bytes(data)
    spec = ModelSpec(source="folder", path="model")
    return pin_tree("tiny", spec, tmp_path, Mirrors(), offline=False)


def test_a_folder_is_read_where_it_stands(tmp_path: Path, folder_pin: TreePin) -> None:
    tree = fetch_tree(folder_pin, tmp_path, tmp_path / "cache", NoProgress())
    assert tree.source == "folder:model"
    assert [file.place for file in tree.files] == [tmp_path / "model" / name for name in FILES]


def test_a_file_edited_since_it_was_locked_is_named(tmp_path: Path, folder_pin: TreePin) -> None:
    (tmp_path / "model" / "config.json").write_bytes(b"[]")
    with pytest.raises(VerificationError, match=r"config\.json changed(.|\n)*kit lock"):
        fetch_tree(folder_pin, tmp_path, tmp_path / "cache", NoProgress())


def test_a_file_gone_since_it_was_locked_is_named(tmp_path: Path, folder_pin: TreePin) -> None:
    (tmp_path / "model" / "config.json").unlink()
    with pytest.raises(VerificationError, match=r"config\.json was locked and is gone"):
        fetch_tree(folder_pin, tmp_path, tmp_path / "cache", NoProgress())


def test_a_file_added_since_it_was_locked_does_not_come_along(tmp_path: Path, folder_pin: TreePin) -> None:
    (tmp_path / "model" / "new.json").write_bytes(b"[]")
    tree = fetch_tree(folder_pin, tmp_path, tmp_path / "cache", NoProgress())
    assert [file.path for file in tree.files] == list(FILES)


def test_a_source_that_no_hub_has_is_refused(tmp_path: Path, folder_pin: TreePin) -> None:
    with pytest.raises(ConfigError, match="no hub named 'ftp'"):
        fetch_tree(replace(folder_pin, source="ftp:x"), tmp_path, tmp_path / "cache", NoProgress())
