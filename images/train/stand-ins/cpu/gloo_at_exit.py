"""Lets Gloo's threads put down their last work before Python ends. gloo_at_exit.pth imports it at each start.

A thread of torch's ProcessGroupGloo gives up the tensors of a collective after those who waited for it have
gone on, and needs Python's lock for that. A Python older than 3.14 ends a thread that asks for the lock while
it shuts down, and C++ does not survive the way in which it does: "terminate called without an active
exception", SIGABRT. Process groups that are destroyed wait for their threads; DeepSpeed keeps its own until
the end: 2 of 30 short trainings under ZeRO-3 failed after all was done (torch 2.13, two processors).
"""

from __future__ import annotations

import atexit
import time
from pathlib import Path

THREAD = "pt_gloo_runloop"
PAUSE = 0.01
"""Seconds without Python's lock: whoever waits for it gets it."""
CALM = 3
"""So often in a row no thread may be seen at work."""
PATIENCE = 5.0
"""Seconds after which Python ends all the same."""


def _states() -> str:
    """Return the letters of proc(5) for what each of Gloo's threads does."""
    found = ""
    for task in Path("/proc/self/task").glob("[0-9]*"):
        try:
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has just ended
            continue
        found += rest.split()[0] if name == THREAD else ""
    return found


def settle() -> None:
    """Wait until Gloo's threads, if there are any, sleep though Python's lock is free."""
    end, calm = time.monotonic() + PATIENCE, 0
    while _states() and calm < CALM and time.monotonic() < end:
        time.sleep(PAUSE)
        calm = calm + 1 if set(_states()) <= {"S"} else 0


# What is registered first is called last.
atexit.register(settle)
