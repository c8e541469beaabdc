"""A command over a connection of paramiko's."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko

from kit.errors import UnreachableError

if TYPE_CHECKING:
    from kit.host.port import Argv

OPEN_TIMEOUT = 10
"""Seconds that a host gets to open a channel."""
WINDOW = 16 << 20
PACKET = 1 << 15
_READ = 1 << 18


class Channel:
    """A command on the host, as `kit.host.exchange.Talk` wants it."""

    def __init__(self, name: str, transport: paramiko.Transport, argv: Argv) -> None:
        """Start the command. Raises UnreachableError when the connection is lost."""
        self._name = name
        self._transport = transport
        try:
            self._channel = transport.open_session(window_size=WINDOW, timeout=OPEN_TIMEOUT)
            self._channel.exec_command(shlex.join(argv))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(str(error)) from error

    def _lost(self, why: str = "") -> UnreachableError:
        failure = self._transport.get_exception()
        return UnreachableError(
            "the connection was lost",
            where=self._name,
            why=why or str(failure or "the host closed it"),
            fix="run the same command again; what arrived is kept",
        )

    def write(self, chunk: bytes) -> bool:
        """Give it bytes; False when it takes no more."""
        view = memoryview(chunk)
        try:
            for start in range(0, len(view), PACKET):
                piece = bytes(view[start : start + PACKET])
                while piece:
                    sent = self._channel.send(piece)
                    if sent == 0:
                        return False
                    piece = piece[sent:]
        except (OSError, EOFError) as error:
            if not self._transport.is_active():
                raise self._lost() from error
            return False
        return True

    def finish_writing(self) -> None:
        """Let it see the end of its input."""
        with suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def read(self, *, errors: bool) -> bytes:
        """Return the next bytes of its output, or of its errors."""
        return self._channel.recv_stderr(_READ) if errors else self._channel.recv(_READ)

    def wait(self) -> int:
        """Return its exit status."""
        status = self._channel.recv_exit_status()
        alive = self._transport.is_active()
        self._channel.close()
        if status == -1 and not alive:
            raise self._lost()
        return status

    def abort(self) -> None:
        """End it from this side."""
        self._channel.close()
