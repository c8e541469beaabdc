"""Keeping the processors from sleeping while something is measured.

A virtual machine's processor that has nothing to do is given back, and takes long to return, the
longer the busier the machine below is; engines and pipes, which hand pieces from one process to the
next, wait for that time and again. Linux's SCHED_IDLE gives way to anything else at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SPIN = "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"


@contextmanager
def kept_awake() -> Iterator[None]:
    """Keep every processor busy with nothing, until the block ends."""
    spinning = [subprocess.Popen((sys.executable, "-c", _SPIN)) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
