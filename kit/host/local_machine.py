"""This machine as a host (`address: local`): subprocesses in place of SSH.

In kit's own image, as `ROOT/bin/kit` starts it, this machine is the one outside: its root is mounted where
KIT_HOST_ROOT says, and commands run in it through `host-chroot`, a chroot that needs no root.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from weakref import WeakSet

from kit.host.dialling import silent_port
from kit.host.exchange import exchange, run_talk, stream_talk
from kit.host.pipe_lane import PipeLane
from kit.host.port import Completed, ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kit.host.port import Argv, Lane, Passage

_READ = 1 << 18
_PATIENCE = 5.0
"""Seconds that a command gets to end by itself."""
HOST_ROOT_VARIABLE = "KIT_HOST_ROOT"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def local_words(argv: Argv, host_root: str | None, folder: str) -> Argv:
    """Return the words that run a command here, or outside of kit's container on its host. Pure."""
    # Through sh, so that a program that is missing answers 127 as it does over SSH.
    if not host_root:
        return ("sh", "-c", 'exec "$@"', "sh", *argv)
    # A folder that only root may enter is no hindrance for the owner of ROOT, as whom root acts.
    script = f'PATH={_SYSTEM_PATH}; export PATH; cd "$1" 2>/dev/null || cd /; shift; exec "$@"'
    return ("host-chroot", host_root, "sh", "-c", script, "sh", folder, *argv)


class _Child:
    """A subprocess, as `kit.host.exchange.Talk` wants it."""

    def __init__(self, argv: Argv) -> None:
        pipe = subprocess.PIPE
        # In a session of its own, so that Ctrl-C reaches kit alone, which then ends what it started.
        self._process = subprocess.Popen(
            local_words(argv, os.environ.get(HOST_ROOT_VARIABLE), str(Path.cwd())),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            start_new_session=True,
        )

    def write(self, chunk: bytes) -> bool:
        view = memoryview(chunk)
        stdin = _stream(self._process.stdin)
        try:
            while view:
                view = view[stdin.write(view) :]
        except (BrokenPipeError, ValueError):
            return False
        return True

    def finish_writing(self) -> None:
        with suppress(OSError):
            _stream(self._process.stdin).close()

    def read(self, *, errors: bool) -> bytes:
        stream = _stream(self._process.stderr if errors else self._process.stdout)
        return stream.read(_READ)

    def wait(self) -> int:
        status = self._process.wait()
        _stream(self._process.stdout).close()
        _stream(self._process.stderr).close()
        return status

    def abort(self) -> None:
        if self._process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - all three were asked for
    return stream


class LocalMachine:
    """This machine, behind the Host protocol."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._children: WeakSet[_Child | PipeLane] = WeakSet()

    def _child(self, argv: Argv) -> _Child:
        child = _Child(argv)
        self._children.add(child)
        return child

    @property
    def name(self) -> str:
        """Its name in kit.yaml."""
        return self._name

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command and return what it said."""
        return run_talk(self._name, self._child(argv), stdin, timeout)

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """Run a command, feeding `chunks` while `on_line` gets each line."""
        return stream_talk(self._name, self._child(argv), chunks, on_line)

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        """Run a command and hand its raw output to `sink`."""
        status, errors = exchange(self._child(argv), (stdin,) if stdin else (), sink)
        return Completed(status, b"", errors)

    def round_trip(self) -> float:
        """Return 0: nothing lies between."""
        return 0.0

    def open_lane(self, argv: Argv, *, aes: bool = False, note: Callable[[str], None] = ignore) -> Lane:
        """Start a command; here there is no connection to wait for."""
        del aes, note
        words = local_words(argv, os.environ.get(HOST_ROOT_VARIABLE), str(Path.cwd()))
        lane = PipeLane(words, self._name)
        self._children.add(lane)
        return lane

    def dial(self, address: str, port: int) -> Passage:
        """Connect to a port of this machine."""
        try:
            return socket.create_connection((address, port), timeout=_PATIENCE)
        except OSError as error:
            raise silent_port(self._name, port, str(error)) from error

    def join(self, argv: Argv) -> int:
        """Run a command at this terminal."""
        words = local_words(argv, os.environ.get(HOST_ROOT_VARIABLE), str(Path.cwd()))
        return subprocess.run(words, check=False).returncode

    def close(self) -> None:
        """End what still runs."""
        for child in tuple(self._children):
            child.abort()
