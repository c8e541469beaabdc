from __future__ import annotations

from kit.ship.chain.backlog import Backlog
from kit.ship.chain.wire import Want
from kit.ship.framed import FrameRanges
from tests.unit.ship.memory_intake import MemoryIntake, noise_blob

BLOB, PIECES = noise_blob(1, 10)
DIGEST = BLOB.blob.digest
ALL: FrameRanges = ((0, 10),)


def backlog(*here: int) -> tuple[Backlog, MemoryIntake]:
    intake = MemoryIntake({DIGEST: BLOB})
    for number in here:
        intake.write(DIGEST, number, PIECES[number])
    return Backlog(intake, {DIGEST: BLOB}), intake


def taken(found: Backlog) -> list[int]:
    numbers = []
    while (item := found.take(0)) is not None:
        numbers.append(item[1])
        found.gave(*item)
    return numbers


def test_what_is_here_is_given_at_once_and_the_rest_as_it_comes() -> None:
    found, _ = backlog(2, 5)
    found.want(Want({DIGEST: ((0, 6),)}, {}))
    assert taken(found) == [2, 5]
    found.arrived(DIGEST, 0, 2)
    found.arrived(DIGEST, 5, 9)
    assert taken(found) == [0, 1]


def test_nothing_is_given_that_was_not_asked_for() -> None:
    found, _ = backlog()
    found.arrived(DIGEST, 0, 10)
    found.want(Want({DIGEST: ((3, 4),)}, {}))
    found.arrived("sha256:" + "0" * 64, 0, 10)
    found.arrived(DIGEST, 0, 10)
    assert taken(found) == [3]


def test_a_new_request_replaces_the_old_one_and_nothing_is_given_twice() -> None:
    found, _ = backlog(*range(10))
    found.want(Want({DIGEST: ((0, 2),)}, {}))
    assert taken(found) == [0, 1]
    found.want(Want({DIGEST: ((1, 4),)}, {}))
    assert taken(found) == [2, 3]


def test_a_frame_that_went_bad_is_given_again_when_that_is_said() -> None:
    found, _ = backlog(*range(10))
    found.want(Want({DIGEST: ALL}, {}))
    taken(found)
    found.want(Want({DIGEST: ((4, 5), (7, 8))}, {DIGEST: ((7, 8),)}))
    assert taken(found) == [7]


def test_it_tells_how_much_could_be_given() -> None:
    found, _ = backlog(0, 1)
    found.want(Want({DIGEST: ALL}, {}))
    assert found.behind == BLOB.extent(0, 2)[1]
    taken(found)
    assert found.behind == 0


def test_at_the_end_nothing_more_is_given() -> None:
    found, _ = backlog(0, 1)
    found.want(Want({DIGEST: ALL}, {}))
    found.end()
    assert found.ended
    assert found.take(10) is None
