from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kit.bundle.engine import EngineImage
from kit.bundle.save_ahead import SaveAhead
from kit.errors import EngineError


class SlowEngine:
    """An ImageSource that tells when it was asked, and answers when it is allowed to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = threading.Event()
        self.heard = threading.Semaphore(0)

    def inspect(self, reference: str) -> EngineImage:
        raise EngineError(reference)

    def save(self, image_id: str) -> Iterator[bytes]:
        self.asked.append(image_id)
        self.heard.release()
        if not self.go.wait(10) or image_id == "broken":
            raise EngineError("docker save failed", where=image_id)
        yield image_id.encode()
        yield b"rest"

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.heard.acquire(timeout=10)


def test_two_are_asked_for_before_one_is_read_and_then_one_more_than_is_read() -> None:
    engine = SlowEngine()
    ahead = SaveAhead(engine)
    ahead.begin(("a", "b", "a", "c"))
    engine.wait_for(2)
    assert sorted(engine.asked) == ["a", "b"]
    engine.go.set()
    assert b"".join(ahead.save("a")) == b"arest"
    assert len(engine.asked) == 2
    reading = ahead.save("b")
    assert next(reading) == b"b"
    engine.wait_for(1)
    assert engine.asked[2:] == ["c"]
    assert b"".join(ahead.save("c")) == b"crest"
    assert len(engine.asked) == 3


def test_an_image_that_was_not_announced_is_asked_for_then() -> None:
    engine = SlowEngine()
    engine.go.set()
    ahead = SaveAhead(engine)
    ahead.begin(("a",))
    assert b"".join(ahead.save("x")) == b"xrest"
    assert [b"".join(ahead.save("a")) for _ in range(2)] == [b"arest"] * 2


def test_a_failure_is_raised_where_the_image_is_read() -> None:
    engine = SlowEngine()
    engine.go.set()
    ahead = SaveAhead(engine)
    ahead.begin(("broken", "b"))
    assert b"".join(ahead.save("b")) == b"brest"
    with pytest.raises(EngineError, match="broken"):
        list(ahead.save("broken"))
