"""Keeping the processors from sleeping while something is measured.

A virtual machine's processor that has nothing to do is given back, and takes long to return, the
longer the busier the machine below is; engines and pipes, which hand pieces from one process to the
next, wait for that time and again. Linux's SCHED_IDLE gives way to anything else at once, but within
its group alone: where sessions are groups (sched(7), autogroup), each spinner is one of its own, with the
least weight that there is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SPIN = """\
import os
from contextlib import suppress
from pathlib import Path
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
with suppress(OSError):
    Path("/proc/self/autogroup").write_text("19")
while True:
    pass
"""


@contextmanager
def kept_awake() -> Iterator[None]:
    """Keep every processor busy with nothing, until the block ends."""
    argv = (sys.executable, "-c", _SPIN)
    spinning = [subprocess.Popen(argv, start_new_session=True) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
