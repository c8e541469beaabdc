from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError, TransferError
from kit.signature.seen import (
    SeenBundle,
    SeenBundles,
    dump_seen,
    load_seen,
    now_text,
    parse_seen,
    save_seen,
    seen_path,
)

MARCH, MAY = "2026-03-01T00:00:00Z", "2026-05-01T12:30:00Z"


def seen(locked: str) -> SeenBundle:
    return SeenBundle(locked, "sha256:" + "0" * 64, now_text())


def test_a_bundle_is_older_than_a_newer_one_of_its_name() -> None:
    record = SeenBundles().adding("demo", seen(MAY), signed=True)
    older = record.older("demo", MARCH, signed=True)
    assert older is not None
    assert older.text == f"older than the one of {MAY} seen here"
    assert record.older("demo", MAY, signed=True) is None
    assert record.older("other", MARCH, signed=True) is None


def test_the_newest_is_remembered_whatever_comes_later() -> None:
    record = SeenBundles().adding("demo", seen(MAY), signed=False).adding("demo", seen(MARCH), signed=False)
    assert record.others["demo"].locked == MAY
    assert record.adding("demo", seen("2026-06-01T00:00:00Z"), signed=False).others["demo"].locked > MAY


def test_an_unsigned_bundle_from_the_future_ages_nothing_signed() -> None:
    record = SeenBundles().adding("demo", seen("9999-01-01T00:00:00Z"), signed=False)
    assert record.older("demo", MAY, signed=True) is None
    assert record.older("demo", MAY, signed=False) is not None


def test_a_signed_bundle_ages_unsigned_ones() -> None:
    record = SeenBundles().adding("demo", seen(MAY), signed=True)
    assert record.older("demo", MARCH, signed=False) is not None


def test_a_record_is_written_and_read_again(tmp_path: Path) -> None:
    path = seen_path({"XDG_STATE_HOME": str(tmp_path)})
    assert load_seen(path) == SeenBundles()
    record = SeenBundles().adding("a", seen(MAY), signed=True).adding("b", seen(MARCH), signed=False)
    save_seen(path, record)
    assert load_seen(path) == record
    assert [file.name for file in path.parent.iterdir()] == ["seen.json"]


def test_the_record_stands_in_the_users_state() -> None:
    assert seen_path({}) == Path.home() / ".local/state/airgap-kit/seen.json"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kit_seen":2,"signed":{},"others":{}}',
        b'{"kit_seen":1,"signed":[],"others":{}}',
        b'{"kit_seen":1,"signed":{"a":{"locked":1,"digest":"","at":""}},"others":{}}',
        dump_seen(SeenBundles())[:-5],
    ],
)
def test_a_record_that_cannot_be_understood_is_said_so(data: bytes) -> None:
    with pytest.raises(ConfigError, match="rm /s"):
        parse_seen(data, "/s")


def test_places_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "seen.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_seen(tmp_path / "seen.json")
    (tmp_path / "file").write_bytes(b"")
    assert load_seen(tmp_path / "file" / "seen.json") == SeenBundles()
    with pytest.raises(TransferError, match="cannot be written"):
        save_seen(tmp_path / "file" / "seen.json", SeenBundles())
