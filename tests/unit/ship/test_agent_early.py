from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of
from kit.ship.agent.early import take_over
from kit.ship.early import NOTHING_EARLY, Early, early_name

DATA = b"x" * 20_000
DIGEST = blob_of(DATA).digest
OURS, OTHERS = "0" * 8, "1" * 8
EARLY = Early(OURS, {DIGEST: ((0, 3),)})


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    made = BlobStore(tmp_path)
    made.partial.mkdir()
    return made


def lay(store: BlobStore, run: str, data: bytes = DATA) -> Path:
    path = store.partial / early_name(run, DIGEST)
    path.write_bytes(data)
    return path


def grown(store: BlobStore) -> Path:
    return store.partial / DIGEST[7:]


def early_files(store: BlobStore) -> list[Path]:
    return list(store.partial.glob("early.*"))


def test_what_the_sender_tells_of_is_taken_over_and_known(store: BlobStore) -> None:
    lay(store, OURS)
    assert take_over(store, EARLY) == {DIGEST: ((0, 3),)}
    assert grown(store).read_bytes() == DATA
    assert early_files(store) == []


def test_what_it_tells_of_and_is_not_there_is_not_known(store: BlobStore) -> None:
    assert take_over(store, EARLY) == {}


def test_what_a_killed_ship_left_is_taken_over_but_nothing_is_known_of_it(store: BlobStore) -> None:
    lay(store, OTHERS)
    assert take_over(store, EARLY) == {}
    assert grown(store).read_bytes() == DATA
    assert early_files(store) == []


def test_what_somebody_may_still_write_never_becomes_a_blobs_file(store: BlobStore) -> None:
    path = lay(store, OTHERS)
    with path.open("r+b") as writer:
        assert take_over(store, NOTHING_EARLY) == {}
        assert not grown(store).exists()
        # Nor does a writer find it again that opens it anew.
        assert not path.exists()
        writer.write(b"damaged")
    assert len(early_files(store)) == 1
    take_over(store, NOTHING_EARLY)
    assert grown(store).read_bytes().startswith(b"damaged")


def test_of_two_files_of_a_blob_the_larger_one_stays(store: BlobStore) -> None:
    grown(store).write_bytes(DATA[:5000])
    lay(store, OTHERS)
    take_over(store, NOTHING_EARLY)
    assert grown(store).read_bytes() == DATA
    lay(store, OURS, DATA[:5000])
    assert take_over(store, EARLY) == {}
    assert grown(store).read_bytes() == DATA
    assert early_files(store) == []


def test_nothing_is_kept_of_a_blob_that_is_here(store: BlobStore) -> None:
    store.keep(DATA)
    lay(store, OURS)
    assert take_over(store, EARLY) == {}
    assert early_files(store) == []
    assert not grown(store).exists()


def test_links_and_other_names_are_left_alone(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(DATA)
    early = store.partial / early_name(OURS, DIGEST)
    early.symlink_to(tmp_path / "secret")
    (store.partial / "early.bird").write_bytes(DATA)
    assert take_over(store, EARLY) == {}
    assert early.is_symlink()
    assert len(early_files(store)) == 2


def test_where_the_kernel_cannot_tell_only_old_files_are_taken_over(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_leases(*_: Any) -> int:
        raise OSError(errno.EINVAL, "no leases here")

    monkeypatch.setattr(fcntl, "fcntl", without_leases)
    path = lay(store, OTHERS)
    take_over(store, NOTHING_EARLY)
    assert not grown(store).exists()
    (path,) = early_files(store)
    os.utime(path, (0, 0))
    take_over(store, NOTHING_EARLY)
    assert grown(store).read_bytes() == DATA
