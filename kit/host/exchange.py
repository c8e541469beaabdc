"""Feeding a command and hearing it at once, so that neither side waits for the other forever."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from kit.errors import UnreachableError
from kit.host.output import Capture, Ending, Lines
from kit.host.port import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Talk(Protocol):
    """A command that runs somewhere. Methods raise UnreachableError when the connection is lost."""

    def write(self, chunk: bytes) -> bool:
        """Give it bytes; False when it takes no more."""

    def finish_writing(self) -> None:
        """Let it see the end of its input."""

    def read(self, *, errors: bool) -> bytes:
        """Return the next bytes of its output (or of its errors); empty at their end."""

    def wait(self) -> int:
        """Return its exit status."""

    def abort(self) -> None:
        """End the talk from this side; reads and writes that wait return."""


class _Reader(threading.Thread):
    """Hands one of the two outputs to a sink; keeps what went wrong."""

    def __init__(
        self, talk: Talk, sink: Callable[[bytes], None], on_end: Callable[[], None], *, errors: bool
    ) -> None:
        super().__init__(daemon=True)
        self._talk = talk
        self._sink = sink
        self._on_end = on_end
        self._errors = errors
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Read to the end."""
        try:
            while chunk := self._talk.read(errors=self._errors):
                self._sink(chunk)
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that waits
            self.failure = failure
            self._talk.abort()
        finally:
            self._on_end()


def _nothing() -> None:
    """Tell nobody."""


def exchange(
    talk: Talk,
    chunks: Iterable[bytes],
    sink: Callable[[bytes], None],
    on_end: Callable[[], None] = _nothing,
) -> tuple[int, bytes]:
    """Feed `chunks` to a command while `sink` gets its output; return (exit status, end of its errors).

    `on_end` hears, on another thread, that it says no more: `chunks` that wait for something need not
    then. Whatever `chunks` or `sink` raise ends the command and is raised here.
    """
    errors = Ending()
    readers = (_Reader(talk, sink, on_end, errors=False), _Reader(talk, errors, _nothing, errors=True))
    for reader in readers:
        reader.start()
    try:
        for chunk in chunks:
            if not talk.write(chunk):
                break
        talk.finish_writing()
        for reader in readers:
            reader.join()
    except BaseException:
        talk.abort()
        _raise_first(readers)
        raise
    _raise_first(readers)
    return talk.wait(), errors.data


def _raise_first(readers: tuple[_Reader, ...]) -> None:
    for reader in readers:
        if reader.failure is not None and not reader.is_alive():
            raise reader.failure


def run_talk(host: str, talk: Talk, stdin: bytes, timeout: float | None) -> Completed:
    """Return what a command said. Raises UnreachableError after `timeout` seconds without an end."""
    capture = Capture(host)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        talk.abort()

    timer = threading.Timer(timeout, give_up) if timeout else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        status, errors = exchange(talk, (stdin,) if stdin else (), capture)
    except UnreachableError:
        if not late.is_set():
            raise
        status, errors = -1, b""
    finally:
        if timer:
            timer.cancel()
    if late.is_set():
        raise UnreachableError(
            f"no answer within {timeout:g} s", where=host, fix=f"look at {host}; kit check tells more"
        )
    return Completed(status, capture.data, errors)


def stream_talk(
    host: str, talk: Talk, chunks: Iterable[bytes], on_line: Callable[[bytes], None] | None
) -> Completed:
    """Feed `chunks`; hand each line of output to `on_line`, or keep the output when there is none.

    An `on_line` with a method `ended` hears of the end of the output by it, from the reading thread.
    """
    if on_line is None:
        capture = Capture(host)
        status, errors = exchange(talk, chunks, capture)
        return Completed(status, capture.data, errors)
    lines = Lines(host, on_line)
    status, errors = exchange(talk, chunks, lines, getattr(on_line, "ended", _nothing))
    lines.end()
    return Completed(status, b"", errors)
