"""What need not be sent because frames of other blobs are there."""

from __future__ import annotations

import hashlib

from kit.bundle.frame_index import Frame, dump_index
from kit.bundle.manifest import Blob, Layer
from kit.ship.framed import FramedBlob, framed
from kit.ship.have import Have
from kit.ship.reuse import FrameReader, reusable_bytes, there_frames


def frame(seed: int, size: int = 100) -> Frame:
    digest = hashlib.sha256(str(seed).encode()).digest()
    return Frame(size, size, digest, digest)


def digest_of(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def blob(name: str, *seeds: int, indexed: bool = True) -> FramedBlob:
    frames = tuple(map(frame, seeds))
    index = Blob(digest_of(name + " index"), 10) if indexed else None
    return framed(Blob(digest_of(name), 100 * len(seeds)), frames, index)


def older(*seeds: int, size: int | None = None) -> Have:
    """A host with one blob of an older bundle."""
    name = digest_of("older")
    index = dump_index(map(frame, seeds))
    return Have({name: 100 * len(seeds) if size is None else size}, indexes={name: index})


NEW = blob("new", 1, 2, 3, 4)


def test_frames_of_an_older_blob_need_not_be_sent() -> None:
    assert reusable_bytes(NEW, there_frames(older(2, 9, 4), ())) == 200


def test_frames_of_blobs_of_the_same_bundle_count_too() -> None:
    assert reusable_bytes(NEW, there_frames(Have(), (blob("other", 1, 8),))) == 100


def test_a_blob_that_the_host_keeps_no_index_of_lends_nothing() -> None:
    assert reusable_bytes(NEW, there_frames(Have(), (blob("other", 1, indexed=False),))) == 0


def test_an_index_that_is_none_of_its_blob_is_passed_over() -> None:
    liar = Have({digest_of("older"): 400}, indexes={digest_of("older"): b"kitframe" + b"\xff" * 100})
    assert there_frames(liar, ()) == there_frames(older(1, 2, size=7), ()) == frozenset()
    elsewhere = Have(indexes=older(1).indexes)
    assert there_frames(elsewhere, ()) == frozenset()


def test_each_index_of_a_bundle_is_read_once() -> None:
    index = dump_index([frame(1), frame(2)])
    layer = Layer(digest_of("l"), 200, digest_of("d"), 200, Blob(digest_of("i"), len(index)))
    asked: list[str] = []

    def read(digest: str) -> list[bytes]:
        asked.append(digest)
        return [index]

    frames_of = FrameReader(read)
    assert frames_of(layer) == frames_of(layer)
    assert len(frames_of(layer)) == 2
    assert asked == [digest_of("i")]
