"""A shell that stays open inside a host: looking there, and striking there, takes milliseconds."""

from __future__ import annotations

import secrets
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.privileges import REPOSITORY, command_line

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script said, and how it ended."""

    status: int
    text: str
    """Its standard output and error, without the last newline."""


class HostShell:
    """A root shell in a running host. Thread-safe; it ends with the host."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._mark = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            command_line("exec", name, "--", "sh"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
        )

    def ask(self, script: str) -> Answer:
        """Run a script to its end in a shell of its own; raises LabError when the host is gone."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        lines: list[bytes] = []
        with self._lock:
            try:
                pipe_in.write(
                    f'(\n{script}\n) </dev/null 2>&1\ncode=$?; echo; echo "{self._mark} $code"\n'.encode()
                )
                pipe_in.flush()
            except (BrokenPipeError, ValueError) as error:
                raise LabError(f"{self.name} is gone") from error
            while line := pipe_out.readline():
                if line.startswith(self._mark.encode()):
                    text = b"".join(lines).removesuffix(b"\n").removesuffix(b"\n")
                    return Answer(int(line.split()[1]), text.decode(errors="replace"))
                lines.append(line)
        raise LabError(f"{self.name} is gone: {b''.join(lines[-3:]).decode(errors='replace')}")

    def say(self, script: str) -> str:
        """Run a script that must succeed; return what it said. Raises LabError."""
        answer = self.ask(script)
        if answer.status:
            raise LabError(f"{self.name}: exit {answer.status}: {answer.text[-400:]}")
        return answer.text

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def host_shell(name: str) -> Iterator[HostShell]:
    """Give a shell that is closed afterwards."""
    shell = HostShell(name)
    try:
        yield shell
    finally:
        shell.close()
