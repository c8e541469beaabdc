from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of
from kit.bundle.frame_index import dump_index, piece_of
from kit.errors import TransferError, VerificationError
from kit.ship.agent.intake import Intake, frames_path, partial_path
from kit.ship.agent.older_frames import OlderFrames
from kit.ship.framed import FramedBlob, FrameRanges, framed, one_frame

SIZE = 4096
PIECES = [bytes([n]) * SIZE for n in range(1, 9)]


def of(pieces: list[bytes], store: BlobStore) -> FramedBlob:
    """A blob of these pieces, whose index is in the store."""
    records = tuple(map(piece_of, pieces))
    index = store.keep(dump_index(records))
    return framed(blob_of(b"".join(pieces)), records, index)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


@pytest.fixture
def blob(store: BlobStore) -> FramedBlob:
    return of(PIECES, store)


def taking(store: BlobStore, *blobs: FramedBlob) -> Intake:
    intake = Intake(store, blobs, lambda _: None)
    intake.begin(OlderFrames(store))
    return intake


def lay(store: BlobStore, blob: FramedBlob, frame: int, data: bytes) -> None:
    """Do what a lane does."""
    path = partial_path(store, blob.blob.digest)
    with path.open("r+b") as file:
        file.seek(blob.offsets[frame])
        file.write(data)


def files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "verified.jsonl":
            yield str(path.relative_to(folder))


@settings(deadline=None)
@given(order=st.permutations(range(len(PIECES))), lane=st.sampled_from(("lane", "process")))
def test_frames_may_come_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], lane: str
) -> None:
    store = BlobStore(tmp_path_factory.mktemp("store"))
    blob = of(PIECES, store)
    with taking(store, blob) as intake:
        assert intake.need() == {blob.blob.digest: ((0, 8),)}
        for frame in order:
            if lane == "lane":
                lay(store, blob, frame, PIECES[frame])
                intake.wrote(blob.blob.digest, frame, frame + 1)
            else:
                intake.write(blob.blob.digest, frame, PIECES[frame])
        intake.settle()
        intake.wait(blob.blob.digest)
        assert intake.need() == {}
    path = store.path(blob.blob.digest)
    assert path.read_bytes() == b"".join(PIECES)
    assert path.stat().st_mode & 0o777 == 0o444
    assert frames_path(store, blob.blob.digest).samefile(store.path(blob.index.digest))  # type: ignore[union-attr]


def test_an_empty_blob_and_one_that_is_here_need_nothing(store: BlobStore) -> None:
    here = one_frame(store.keep(b"here"))
    empty = one_frame(blob_of(b""))
    with taking(store, here, empty) as intake:
        assert intake.need() == {}
        intake.settle()
        for each in (here, empty):
            intake.wait(each.blob.digest)
        assert intake.read(here.blob.digest, 0) == b"here"
    assert store.has(empty.blob)


def test_what_a_killed_ship_left_is_hashed_and_only_the_rest_is_needed(
    store: BlobStore, blob: FramedBlob
) -> None:
    with taking(store, blob) as intake:
        for frame in (0, 1, 5):
            lay(store, blob, frame, PIECES[frame])  # written, and killed before anybody said so
        lay(store, blob, 6, b"half")
        lay(store, blob, 1, b"rotten")
        del intake
    with taking(store, blob) as intake:
        assert intake.need() == {blob.blob.digest: ((1, 5), (6, 8))}


def test_frames_of_older_blobs_are_copied(store: BlobStore) -> None:
    older = of([PIECES[7], PIECES[2], PIECES[0]], store)
    with taking(store, older) as intake:
        for frame, piece in enumerate((PIECES[7], PIECES[2], PIECES[0])):
            intake.write(older.blob.digest, frame, piece)
        intake.settle()
    newer = of(PIECES, store)
    with taking(store, newer) as intake:
        assert intake.need() == {newer.blob.digest: ((1, 2), (3, 7))}
        for frame in (1, 3, 4, 5, 6):
            intake.write(newer.blob.digest, frame, PIECES[frame])
        intake.settle()
    assert store.has(newer.blob)


def test_an_older_blob_gone_bad_costs_its_frames_and_no_more(store: BlobStore) -> None:
    older = of(PIECES[:2], store)
    with taking(store, older) as intake:
        for frame in (0, 1):
            intake.write(older.blob.digest, frame, PIECES[frame])
        intake.settle()
    path = store.path(older.blob.digest)
    path.chmod(0o644)
    path.write_bytes(PIECES[0] + b"rotten" + PIECES[1][6:])
    newer = of(PIECES[:3], store)
    with taking(store, newer) as intake:
        assert intake.need() == {newer.blob.digest: ((2, 3),)}
        intake.write(newer.blob.digest, 2, PIECES[2])
        intake.settle()
        assert intake.need() == {newer.blob.digest: ((1, 2),)}
        intake.write(newer.blob.digest, 1, PIECES[1])
        intake.settle()
    assert store.has(newer.blob)


def test_a_frame_with_other_bytes_is_asked_for_again_and_refused_the_second_time(
    store: BlobStore, blob: FramedBlob
) -> None:
    digest = blob.blob.digest
    with taking(store, blob) as intake:
        for frame, piece in enumerate(PIECES):
            lay(store, blob, frame, piece if frame != 3 else b"X" + piece[1:])
        intake.wrote(digest, 0, 8)
        intake.settle()
        assert intake.need() == {digest: ((3, 4),)}
        assert not intake.has(digest, 3)
        lay(store, blob, 3, b"Y" + PIECES[3][1:])
        intake.wrote(digest, 3, 4)
        with pytest.raises(VerificationError, match=digest):
            intake.settle()
        with pytest.raises(VerificationError):
            intake.wait(digest)
    assert not [name for name in files(store.folder) if digest[7:] in name]


def test_a_frame_that_comes_to_this_process_is_hashed_before_it_is_written(
    store: BlobStore, blob: FramedBlob
) -> None:
    with taking(store, blob) as intake:
        for data in (b"X" + PIECES[0][1:], PIECES[0] + b"X", b""):
            with pytest.raises(VerificationError, match="frame 0"):
                intake.write(blob.blob.digest, 0, data)
        assert not intake.has(blob.blob.digest, 0)


def test_an_index_that_is_not_the_blobs_is_refused(store: BlobStore) -> None:
    right = of(PIECES[:2], store)
    lying = framed(blob_of(b"".join(PIECES[2:4])), right.frames, right.index)
    with taking(store, lying) as intake:
        intake.write(lying.blob.digest, 0, PIECES[0])
        intake.write(lying.blob.digest, 1, PIECES[1])
        with pytest.raises(VerificationError, match="arrived with other bytes") as caught:
            intake.settle()
    assert "index is false" in caught.value.why
    assert not store.path(lying.blob.digest).exists()


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (0, 9), (3, 3), (4, 2)])
def test_frames_that_are_none_are_refused(store: BlobStore, blob: FramedBlob, start: int, stop: int) -> None:
    with taking(store, blob) as intake:
        with pytest.raises(TransferError):
            intake.wrote(blob.blob.digest, start, stop)
        with pytest.raises(TransferError):
            intake.wrote("sha256:" + "0" * 64, 0, 1)


def test_whoever_waits_hears_of_the_end(store: BlobStore, blob: FramedBlob) -> None:
    heard: list[BaseException] = []

    def wait() -> None:
        try:
            intake.wait(blob.blob.digest)
        except TransferError as error:
            heard.append(error)

    with taking(store, blob) as intake:
        waiting = threading.Thread(target=wait)
        waiting.start()
        intake.end(TransferError("the sender went away"))
        intake.end(TransferError("later"))
        waiting.join(10)
    assert [str(error) for error in heard] == ["the sender went away"]


def test_frames_are_told_of_and_can_be_passed_on(store: BlobStore, blob: FramedBlob) -> None:
    told: list[tuple[str, int, int]] = []
    with taking(store, blob) as intake:
        intake.on_frames(lambda *frames: told.append(frames))
        lay(store, blob, 2, PIECES[2])
        intake.wrote(blob.blob.digest, 2, 3)
        assert intake.has(blob.blob.digest, 2)
        assert intake.read(blob.blob.digest, 2) == PIECES[2]
        assert told == [(blob.blob.digest, 2, 3)]


def test_a_large_blob_of_noise_from_two_writers(store: BlobStore) -> None:
    noise = random.Random(5)
    pieces = [noise.randbytes(20_000) for _ in range(64)]
    blob = of(pieces, store)
    with taking(store, blob) as intake:

        def write(frames: range) -> None:
            for frame in frames:
                intake.write(blob.blob.digest, frame, pieces[frame])

        writers = [threading.Thread(target=write, args=(range(i, 64, 2),)) for i in (0, 1)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        intake.settle()
        assert intake.need() == {}
    assert store.path(blob.blob.digest).read_bytes() == b"".join(pieces)


def begun(store: BlobStore, blob: FramedBlob, data: bytes, came: FrameRanges) -> Intake:
    """An intake of a blob whose file has something in it already, some of which is known."""
    partial_path(store, blob.blob.digest).write_bytes(data)
    intake = Intake(store, (blob,), lambda _: None)
    intake.begin(OlderFrames(store), {blob.blob.digest: came})
    return intake


def test_frames_that_are_known_to_have_come_are_not_asked_for(store: BlobStore, blob: FramedBlob) -> None:
    with begun(store, blob, b"".join(PIECES[:3]), ((0, 2),)) as intake:
        assert intake.need() == {blob.blob.digest: ((2, 8),)}
    with begun(store, blob, b"".join(PIECES), ((0, 8),)) as intake:
        intake.settle()
        intake.wait(blob.blob.digest)
        assert intake.need() == {}


def test_frames_that_are_said_to_have_come_and_did_not_are_asked_for(
    store: BlobStore, blob: FramedBlob
) -> None:
    data = b"".join(PIECES[:3]) + bytes(SIZE)
    with begun(store, blob, data, ((0, 8),)) as intake:
        intake.settle()
        assert intake.need() == {blob.blob.digest: ((3, 8),)}


def test_of_a_blob_with_fewer_frames_than_are_told_of_each_is_looked_at(
    store: BlobStore, blob: FramedBlob
) -> None:
    for told in (((0, 9),), ((0, 9), (3, 4))):
        with begun(store, blob, b"".join(PIECES[:3]), told) as intake:
            assert intake.need() == {blob.blob.digest: ((3, 8),)}
