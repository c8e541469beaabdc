"""A command at a terminal of its own, typed to as a person would."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE = 60.0
"""Seconds until words must have come."""


class Terminal:
    """A process whose standard input is a terminal, its controlling one; outputs go there or to files."""

    def __init__(self, argv: tuple[str, ...], env: Mapping[str, str], files: Path | None = None) -> None:
        """With a folder `files`, the outputs are its `stdout` and `stderr`; prompts come to the terminal."""
        self._own, theirs = os.openpty()
        outputs = [theirs, theirs]
        if files is not None:
            outputs = [
                os.open(files / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("stdout", "stderr")
            ]
        self.process = subprocess.Popen(
            argv,
            stdin=theirs,
            stdout=outputs[0],
            stderr=outputs[1],
            env=dict(env),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here yet
        )
        for descriptor in {theirs, *outputs}:
            if descriptor != theirs:
                os.close(descriptor)
        self._theirs = theirs
        self._at = 0
        self.shown = ""

    def expect(self, words: str) -> None:
        """Wait until words are shown, after those that were waited for before."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.shown.find(words, self._at)) < 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"{words!r} never came; shown: {self.shown!r}")
            self._read(0.2)
        self._at = found + len(words)

    def _read(self, seconds: float) -> None:
        if select.select([self._own], [], [], seconds)[0]:
            self.shown += os.read(self._own, 1 << 16).decode(errors="replace")

    @property
    def echoes(self) -> bool:
        """What is typed now would be shown."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        """Type a line, once the terminal hides what is typed."""
        deadline = time.monotonic() + PATIENCE
        while self.echoes and time.monotonic() < deadline:
            time.sleep(0.02)
        os.write(self._own, f"{text}\n".encode())

    def press(self, key: bytes) -> None:
        """Press a key, such as Ctrl-C."""
        os.write(self._own, key)

    def end(self, patience: float = 300.0) -> int:
        """Wait for the process, reading what it shows; return its status."""
        deadline = time.monotonic() + patience
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        status = self.process.wait(timeout=1)
        self._read(0)
        return status

    def close(self) -> None:
        """End what still runs."""
        self.process.kill()
        self.process.wait()
        os.close(self._own)
        os.close(self._theirs)
