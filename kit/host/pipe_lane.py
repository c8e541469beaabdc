"""A lane through a subprocess: `ssh` to a host, or a shell here. The kernel moves files into its pipe."""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import subprocess
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.errors import TransferError, UnreachableError
from kit.host.lane_lines import LaneLines
from kit.host.output import Ending
from kit.host.port import Completed

if TYPE_CHECKING:
    from pathlib import Path

    from kit.host.port import Argv

PIPE_SIZE = 1 << 20
"""Bytes that a pipe holds: as much as Linux lets anybody have."""
_SET_PIPE_SIZE = 1031
"""Linux's F_SETPIPE_SZ, which Python's fcntl names from 3.10 on, on Linux alone."""
_READ = 1 << 16
_ERRORS = 8 << 10
_COPY = 1 << 20
_PATIENCE = 5.0
"""Seconds that a subprocess gets to end by itself."""
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP)


class PipeLane:
    """A subprocess that takes bytes and answers with lines."""

    def __init__(self, argv: Argv, where: str, env: dict[str, str] | None = None) -> None:
        """Start it. Raises UnreachableError when there is no such program."""
        self._where = where
        self._program = argv[0]
        stdin, self._in = os.pipe()
        self._out, stdout = os.pipe()
        # Closed when nothing speaks of them any more: a thread may still wait on one after `abort`.
        self._close_in = weakref.finalize(self, os.close, self._in)
        weakref.finalize(self, os.close, self._out)
        _enlarge(self._in)
        try:
            # In a session of its own, so that Ctrl-C reaches kit alone, which then ends what it started.
            self._process = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True, env=env
            )
        except OSError as error:
            raise UnreachableError(f"{argv[0]} cannot be started", where=where, why=str(error)) from error
        finally:
            os.close(stdin)
            os.close(stdout)
        self._errors = Ending(_ERRORS)
        self._listener = threading.Thread(target=_listen, args=(self._process, self._errors), daemon=True)
        self._listener.start()
        self._lines = LaneLines(where)

    def write(self, data: bytes) -> None:
        """Give it bytes."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._in, view) :]
        except OSError as error:
            raise self.lost() from error

    def send_file(self, path: Path, offset: int, length: int) -> int:
        """Give it bytes of a file, without copying them where the system can; return how many there were."""
        descriptor = _open(path)
        left = length
        try:
            while left and (sent := self._pass(descriptor, offset + length - left, left)):
                left -= sent
        finally:
            os.close(descriptor)
        return length - left

    def _pass(self, descriptor: int, offset: int, length: int) -> int:
        try:
            return os.sendfile(self._in, descriptor, offset, length)
        except OSError as error:
            if error.errno not in _NO_SENDFILE:
                raise self.lost() from error
        piece = os.pread(descriptor, min(length, _COPY), offset)
        self.write(piece)
        return len(piece)

    def read_line(self) -> bytes:
        """Return the next line of its output; nothing at the end."""
        while (line := self._lines.next()) is None:
            self._lines.add(os.read(self._out, _READ))
        return line

    def await_line(self, wanted: bytes, seconds: float) -> bool:
        """Read lines up to one; say whether it came in time."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._lines.next()
            if line == wanted:
                return True
            if line == b"":
                return False
            if line is None:
                left = max(deadline - time.monotonic(), 0)
                if not select.select([self._out], [], [], left)[0]:
                    return False
                self._lines.add(os.read(self._out, _READ))

    def finish(self) -> Completed:
        """End its input, and wait for it."""
        self._close_in()
        status = self._process.wait()
        self._listener.join(_PATIENCE)
        return Completed(status, b"", self._errors.data)

    def abort(self) -> None:
        """End it at once; whatever waits for it returns."""
        for word in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, word)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)

    @property
    def errors(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._errors.data.decode("utf-8", "replace").strip()

    def lost(self) -> UnreachableError:
        """End it, and return the error that tells why it took no more."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self.abort()
        self._listener.join(_PATIENCE)
        return UnreachableError(
            "the connection was lost",
            where=self._where,
            why=self.errors[-400:] or f"{self._program} ended",
            fix="run the same command again; what arrived is kept",
        )


def _enlarge(pipe: int) -> None:
    try:
        import fcntl
    except ImportError:
        return
    # Refused where this user's pipes have all the memory that they may; not known outside of Linux.
    with suppress(OSError):
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, PIPE_SIZE)


def _listen(process: subprocess.Popen[bytes], errors: Ending) -> None:
    assert process.stderr is not None  # noqa: S101 - asked for
    with process.stderr as stream:
        while chunk := stream.read1(_READ):  # type: ignore[attr-defined]
            errors(chunk)


def _open(path: Path) -> int:
    try:
        # Opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TransferError("cannot be read", where=str(path), why=error.strerror or str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise TransferError("cannot be read", where=str(path), why="it is no plain file")
    return descriptor
