from __future__ import annotations

import io
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of
from kit.errors import TransferError, VerificationError
from kit.ship.agent_receive import missing_of, partial_path, receive_blobs
from kit.ship.frames import frames

ONE, TWO = b"first blob" * 50_000, b"second blob" * 1000


def stream(*parts: bytes, cut: int | None = None) -> io.BufferedReader:
    data = b"".join(
        b"".join(frames([part[i : i + 65536] for i in range(0, len(part), 65536)])) for part in parts
    )
    return io.BufferedReader(io.BytesIO(data[:cut]))  # type: ignore[arg-type]


def receive(store: BlobStore, source: io.BufferedReader, *sends: tuple[bytes, int]) -> int:
    return receive_blobs(
        store, tuple((blob_of(data), offset) for data, offset in sends), source, lambda _: None
    )


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "verified.jsonl")
    return {str(path.relative_to(folder)) for path in found}


def blob_file(data: bytes) -> str:
    return "blobs/sha256/" + blob_of(data).digest[7:]


def partial_file(data: bytes) -> str:
    return "partial/" + blob_of(data).digest[7:]


def test_whole_blobs_stand_read_only_under_their_names(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert receive(store, stream(ONE, TWO), (ONE, 0), (TWO, 0)) == len(ONE) + len(TWO)
    assert files(tmp_path) == {blob_file(ONE), blob_file(TWO)}
    path = store.path(blob_of(ONE).digest)
    assert path.read_bytes() == ONE
    assert path.stat().st_mode & 0o777 == 0o444


def test_an_empty_blob_is_a_blob(tmp_path: Path) -> None:
    receive(BlobStore(tmp_path), stream(b""), (b"", 0))
    assert files(tmp_path) == {blob_file(b"")}


def test_a_cut_keeps_what_came_and_a_second_ship_goes_on_from_there(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(TransferError, match="went away"):
        receive(store, stream(ONE, cut=300_000), (ONE, 0))
    left = partial_path(store, blob_of(ONE)).stat().st_size
    assert 200_000 < left < 300_000
    assert receive(store, stream(ONE[left:]), (ONE, left)) == len(ONE) - left
    assert files(tmp_path) == {blob_file(ONE)}


def test_a_blob_with_a_flipped_byte_leaves_nothing_and_the_one_before_it_stays(tmp_path: Path) -> None:
    flipped = b"X" + TWO[1:]
    with pytest.raises(VerificationError) as caught:
        receive(BlobStore(tmp_path), stream(ONE, flipped), (ONE, 0), (TWO, 0))
    assert blob_of(TWO).digest in caught.value.what
    assert files(tmp_path) == {blob_file(ONE)}


@pytest.mark.parametrize("data", [TWO + b"x", TWO[:-1], b""])
def test_a_blob_of_another_length_leaves_nothing(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(VerificationError):
        receive(BlobStore(tmp_path), stream(data), (TWO, 0))
    assert files(tmp_path) == set()


def test_a_damaged_partial_blob_is_found_out_and_removed(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.partial.mkdir()
    partial_path(store, blob_of(ONE)).write_bytes(b"Z" + ONE[1:1000])
    with pytest.raises(VerificationError):
        receive(store, stream(ONE[1000:]), (ONE, 1000))
    assert files(tmp_path) == set()


def test_a_partial_blob_longer_than_was_planned_is_cut_back(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.partial.mkdir()
    partial_path(store, blob_of(ONE)).write_bytes(ONE[:1000] + b"garbage")
    receive(store, stream(ONE[1000:]), (ONE, 1000))
    assert files(tmp_path) == {blob_file(ONE)}


def test_a_partial_blob_that_shrank_stops_the_ship(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.partial.mkdir()
    partial_path(store, blob_of(ONE)).write_bytes(ONE[:10])
    with pytest.raises(TransferError, match="changed meanwhile"):
        receive(store, stream(ONE[1000:]), (ONE, 1000))


def test_blobs_that_were_damaged_on_the_host_are_found_and_removed(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    receive(store, stream(ONE, TWO), (ONE, 0), (TWO, 0))
    path = store.path(blob_of(TWO).digest)
    path.chmod(0o644)
    path.write_bytes(b"Y" + TWO[1:])
    assert missing_of(BlobStore(tmp_path), (blob_of(ONE), blob_of(TWO))) == (blob_of(TWO),)
    assert files(tmp_path) == {blob_file(ONE)}
