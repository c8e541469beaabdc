"""A port of this machine that leads to a port of a host, for as long as somebody wants it.

Only the loopback of this machine listens: whoever else is on its network gets nothing of it.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.errors import ConfigError, JobError, KitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.host.port import Passage

HERE = "127.0.0.1"
_CHUNK = 1 << 16
_TURN = 0.5
"""Seconds between looks at whether it shall end."""
_LOST = (OSError, EOFError)


class Tunnel:
    """Listens from the moment it is made; `run` lets connections through."""

    def __init__(self, dial: Callable[[], Passage], port: int = 0, preferred: int = 0) -> None:
        """Take `port`, or, without one, `preferred` where it is free and any other where not.

        Raises ConfigError when `port` is taken.
        """
        self._dial = dial
        self._listener = _listen(port, preferred)
        self.port: int = self._listener.getsockname()[1]
        """Where it listens."""
        self._failure: KitError | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Passage] = set()

    def run(self) -> None:
        """Let connections through until `close`. Raises what the host's connection is lost with."""
        self._listener.settimeout(_TURN)
        while not self._ended.is_set():
            if self._failure is not None:
                raise self._failure
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._ended.is_set():
                    return
                raise
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = self._dial()
        except JobError:
            # The job is down, or not up yet: who asked sees a closed connection, and may ask again.
            near.close()
            return
        except KitError as error:
            self._failure = error
            near.close()
            return
        with self._lock:
            self._open |= {near, far}
        if self._ended.is_set():
            self._end(near, far)
        there = threading.Thread(target=_pump, args=(near, far), daemon=True)
        there.start()
        _pump(far, near)
        there.join()
        self._end(near, far)

    def _end(self, *passages: Passage) -> None:
        with self._lock:
            self._open -= set(passages)
        for passage in passages:
            # A thread that waits for bytes does not notice a socket that is merely closed.
            with suppress(*_LOST):
                passage.shutdown(socket.SHUT_RDWR)
            with suppress(*_LOST):
                passage.close()

    def close(self) -> None:
        """End every connection, and listen no more."""
        self._ended.set()
        self._listener.close()
        with self._lock:
            passages = tuple(self._open)
        self._end(*passages)


def _listen(port: int, preferred: int) -> socket.socket:
    for wanted in (port,) if port else (preferred, 0):
        with suppress(OSError):
            return socket.create_server((HERE, wanted))
    raise ConfigError(
        f"port {port} is taken on this machine", where="--port", fix="choose another one, or leave --port out"
    )


def _pump(source: Passage, sink: Passage) -> None:
    """Carry bytes until the source ends, and let the sink see that end."""
    with suppress(*_LOST):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
        return
    # Either side broke: the other one need not wait for it.
    for passage in (source, sink):
        with suppress(*_LOST):
            passage.shutdown(socket.SHUT_RDWR)
