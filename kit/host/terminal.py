"""This terminal joined to a program's on another machine, over the SSH connection that is there.

RFC 4254, 6.2 (pseudo-terminal) and 6.7 (its size). Keys go over as they are pressed, Ctrl-C included.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import paramiko

    from kit.host.port import Argv

_CHUNK = 1 << 14
_TURN = 0.5
"""Seconds between looks at whether the window has another size."""


def require_terminal() -> None:
    """Raise ConfigError unless somebody sits at a terminal here."""
    if os.name != "posix" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "this needs a terminal",
            where="kit open",
            why="it joins the one here to the one of the job",
            fix="run it at a terminal of Linux or macOS; elsewhere kit ask talks to a job of kind api",
        )


def join_terminal(host: str, transport: paramiko.Transport, argv: Argv) -> int:
    """Run a command at a terminal there, joined to the one here; return its exit status.

    Raises UnreachableError when the connection is lost.
    """
    import paramiko

    try:
        channel = transport.open_session(timeout=10)
        size = shutil.get_terminal_size()
        channel.get_pty(os.environ.get("TERM", "xterm"), size.columns, size.lines)
        channel.exec_command(shlex.join(argv))
        with _raw(sys.stdin.fileno()):
            _carry(channel, sys.stdin.fileno(), sys.stdout.fileno(), size)
        status = channel.recv_exit_status()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _lost(host, str(error)) from error
    if status == -1 and not transport.is_active():
        raise _lost(host, "the host closed it")
    return status


def _lost(host: str, why: str) -> UnreachableError:
    return UnreachableError(
        "the connection was lost", where=host, why=why, fix="run the same command again; the job goes on"
    )


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Have every key read as it is pressed."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _carry(channel: Any, keys: int, screen: int, size: os.terminal_size) -> None:
    """Carry keys there and characters here until the program ends."""
    wanted = [channel, keys]
    while True:
        ready, _, _ = select.select(wanted, [], [], _TURN)
        now = shutil.get_terminal_size()
        if now != size:
            size = now
            channel.resize_pty(now.columns, now.lines)
        if channel in ready:
            shown = channel.recv(_CHUNK)
            if not shown:
                return
            _write(screen, shown)
        if keys in ready:
            pressed = os.read(keys, _CHUNK)
            if pressed:
                with suppress(OSError):
                    channel.sendall(pressed)
            else:
                channel.shutdown_write()
                wanted.remove(keys)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
