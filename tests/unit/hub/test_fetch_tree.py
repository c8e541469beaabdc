from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kit.errors import ConfigError, UnreachableError, VerificationError
from kit.hub.fetch_tree import fetch_from_hub, fetch_tree
from kit.hub.pin_tree import pin_from_hub, pin_tree
from kit.progress import NoProgress
from kit.project.model import Mirrors, ModelSpec
from tests.unit.hub.fake_hub import COMMIT, FakeHub
from tests.unit.hub.test_pin_tree import FILES, HUB_MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.pack_request import LocalTree
    from kit.project.lock import TreePin


def hub_pin(tmp_path: Path) -> TreePin:
    return pin_from_hub("model", "qwen3", HUB_MODEL, tmp_path / "other-cache", FakeHub(FILES))


def fetch(pin: TreePin, tmp_path: Path, hub: FakeHub) -> LocalTree:
    return fetch_from_hub(pin, tmp_path / "cache", hub, NoProgress())


def test_a_repository_is_fetched_whole(tmp_path: Path) -> None:
    hub = FakeHub(FILES)
    tree = fetch(hub_pin(tmp_path), tmp_path, hub)
    assert tree.source == f"modelscope:Qwen/Qwen3-0.6B@{COMMIT}"
    assert {file.path: file.place.read_bytes() for file in tree.files} == FILES
    assert [call[0] for call in hub.calls] == ["download", "download"]


def test_what_is_here_is_not_fetched_again(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    fetch(pin, tmp_path, FakeHub(FILES))
    again = FakeHub(FILES, down=True)
    assert fetch(pin, tmp_path, again).files
    assert again.calls == []


def test_a_damaged_download_is_tried_once_more(tmp_path: Path) -> None:
    hub = FakeHub(FILES, spoiled={"config.json": [b"[]"]})
    tree = fetch(hub_pin(tmp_path), tmp_path, hub)
    assert tree.files[0].place.read_bytes() == b"{}"
    assert [call[-1] for call in hub.calls].count("config.json") == 2


def test_bytes_that_stay_wrong_are_refused_whatever_the_client_says(tmp_path: Path) -> None:
    hub = FakeHub(FILES, spoiled={"config.json": [b"[]", b"[]", b"[]"]})
    with pytest.raises(VerificationError, match=r"config\.json"):
        fetch(hub_pin(tmp_path), tmp_path, hub)
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_a_file_damaged_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    pin = hub_pin(tmp_path)
    place = fetch(pin, tmp_path, FakeHub(FILES)).files[0].place
    place.write_bytes(b"[]")
    os.utime(place, (1, 1))
    assert fetch(pin, tmp_path, FakeHub(FILES)).files[0].place.read_bytes() == b"{}"


def test_a_hub_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        fetch(hub_pin(tmp_path), tmp_path, FakeHub(FILES, down=True))


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
    return pin_tree("model", "tiny", spec, tmp_path, Mirrors(), offline=False)


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
