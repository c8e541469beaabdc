"""Asking an engine for the next image while one is read.

Engines before 25 write a whole archive down before its first byte comes, on one processor; the
others are free meanwhile. So `docker save` of one image more than is read has always begun.
"""

from __future__ import annotations

from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.bundle.engine import ImageSource


class _Begun:
    """A stream whose first chunk is waited for on a thread of its own."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._first: Queue[bytes | BaseException | None] = Queue(1)
        self._chunks = chunks
        # A daemon: an engine may take minutes to answer, and nobody waits for that after a failure.
        Thread(target=self._begin, daemon=True).start()

    def _begin(self) -> None:
        try:
            self._first.put(next(self._chunks, None))
        except BaseException as error:  # noqa: BLE001 - raised where the stream is read
            self._first.put(error)

    def __iter__(self) -> Iterator[bytes]:
        first = self._first.get()
        if isinstance(first, BaseException):
            raise first
        if first is not None:
            yield first
            yield from self._chunks


class SaveAhead:
    """Gives the archives of images in turn, and begins the next one in time."""

    def __init__(self, engine: ImageSource) -> None:
        self._engine = engine
        self._waiting: list[str] = []
        self._begun: dict[str, _Begun] = {}

    def begin(self, image_ids: Iterable[str]) -> None:
        """Ask for the first two of these images; the others follow in their order."""
        self._waiting = list(dict.fromkeys(image_ids))
        self._begin_until(2)

    def _begin_until(self, count: int) -> None:
        while self._waiting and len(self._begun) < count:
            image_id = self._waiting.pop(0)
            self._begun[image_id] = _Begun(self._engine.save(image_id))

    def save(self, image_id: str) -> Iterator[bytes]:
        """Yield what `docker save` writes, begun before or now. Raises EngineError, also while reading."""
        if image_id in self._waiting:
            self._waiting.remove(image_id)
        begun = self._begun.pop(image_id, None)
        self._begin_until(1)
        yield from begun or self._engine.save(image_id)
