from __future__ import annotations

from kit.bundle.frame_index import Frame
from kit.bundle.manifest import Blob
from kit.ship.framed import FramedBlob, framed
from kit.ship.lanes.record_queue import RecordQueue

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def blob(digest: str, *sizes: int) -> FramedBlob:
    return framed(Blob(digest, sum(sizes)), tuple(Frame(size, size, b"", b"") for size in sizes))


BLOBS = {A: blob(A, 4, 4, 4, 4, 1), B: blob(B, 30)}


def taken(queue: RecordQueue, most: int) -> list[tuple[str, int, int]]:
    found = []
    while record := queue.take(most):
        assert BLOBS[record.digest].extent(record.start, record.stop) == (record.offset, record.length)
        found.append((record.digest, record.start, record.stop))
    return found


def test_records_are_whole_frames_up_to_the_size_that_is_asked_for() -> None:
    queue = RecordQueue({A: ((0, 5),), B: ((0, 1),)}, BLOBS)
    assert taken(queue, 8) == [(A, 0, 2), (A, 2, 4), (A, 4, 5), (B, 0, 1)]


def test_the_size_may_be_another_each_time() -> None:
    queue = RecordQueue({A: ((0, 5),)}, BLOBS)
    first, second = queue.take(1), queue.take(100)
    assert first is not None
    assert second is not None
    assert (first.start, first.stop, second.start, second.stop) == (0, 1, 1, 5)


def test_what_is_not_needed_is_left_out() -> None:
    assert taken(RecordQueue({A: ((1, 2), (3, 5))}, BLOBS), 100) == [(A, 1, 2), (A, 3, 5)]
    assert taken(RecordQueue({}, BLOBS), 100) == []


def test_what_came_back_goes_first_and_counts_as_left() -> None:
    queue = RecordQueue({A: ((0, 5),), B: ((0, 1),)}, BLOBS)
    assert queue.left == 47
    first, second = queue.take(8), queue.take(8)
    assert queue.left == 31
    assert first is not None
    assert second is not None
    queue.give_back((first, second))
    assert queue.left == 47
    assert taken(queue, 8) == [(A, 0, 2), (A, 2, 4), (A, 4, 5), (B, 0, 1)]
    assert queue.left == 0


def test_what_another_host_took_over_meanwhile_is_forgotten() -> None:
    due = {A, B}
    queue = RecordQueue({A: ((0, 2), (3, 5)), B: ((0, 1),)}, BLOBS, due.__contains__)
    first = queue.take(4)
    assert first is not None
    assert queue.is_due(first)
    queue.give_back([first])
    due.remove(A)
    assert not queue.is_due(first)
    assert queue.left == 30
    assert taken(queue, 100) == [(B, 0, 1)]
    assert queue.left == 0
