"""`kit ship --json` under way, in a process group of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.bench.kill_phase import ENDED, PhaseLog

_LAST_WORDS = 400


class RunningShip:
    """One attempt, whose phases are heard as it tells them."""

    def __init__(self, definition: Path, bundle: Path, env: Mapping[str, str]) -> None:
        words = (sys.executable, "-m", "kit", "ship", "--json", "-f", str(definition), "-b", str(bundle))
        self.log = PhaseLog()
        self._said: list[bytes] = []
        # A file, not a pipe: whatever outlives a killed kit may hold it open.
        self._result = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the attempt has ended
        self._process = subprocess.Popen(
            words, stdout=self._result, stderr=subprocess.PIPE, env=dict(env), start_new_session=True
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError, OSError):
            for line in self._process.stderr:
                self._said.append(line)
                self.log.hear(line)
        self.log.enter(ENDED)

    @property
    def is_over(self) -> bool:
        """Whether it has told that it is done, or has ended well: nothing done to it now changes that."""
        return self.log.is_done or self._process.poll() == 0

    def kill(self, *, whole_group: bool) -> None:
        """Kill kit, with or without the ssh processes that it started."""
        with suppress(ProcessLookupError):
            if whole_group:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                os.kill(self._process.pid, signal.SIGKILL)

    def end(self, seconds: float) -> int | None:
        """Wait for its end and return its status; None when it had to be killed after so many seconds."""
        status: int | None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        self.kill(whole_group=True)  # nothing of an attempt that has ended stays
        self._process.wait()
        self._listener.join(5)
        self.log.enter(ENDED)
        return status

    @property
    def words(self) -> str:
        """What it said last: its error's words, or the end of its standard error."""
        self._result.seek(0)
        try:
            error = json.loads(self._result.read())["error"]
        except (ValueError, KeyError, TypeError):
            plain = [line for line in self._said if not line.startswith(b"{")]
            return b"".join(plain[-5:]).decode(errors="replace").strip()[-_LAST_WORDS:]
        return f"{error['what']}: {error['where']} ({error['why']})"[:_LAST_WORDS]
