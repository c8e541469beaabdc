"""The `ssh` of this machine: where it is, how old it is, which ciphers it knows."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

from kit.host.openssh_words import OLDEST, parse_version

_PATIENCE = 10
"""Seconds that ssh gets to tell about itself."""


@dataclass(frozen=True, slots=True)
class OpensshHere:
    """An ssh that lanes may use."""

    path: str
    version: tuple[int, int]
    ciphers: tuple[str, ...]


def find_openssh() -> OpensshHere | None:
    """Return this machine's ssh; None where there is none, none that is new enough, or on Windows."""
    # Windows has no sendfile, no sessions of processes, and another way to quote: paramiko is better there.
    path = shutil.which("ssh") if os.name == "posix" else None
    return _look(path) if path else None


@cache
def _look(path: str) -> OpensshHere | None:
    version = parse_version(_say(path, "-V"))
    if version is None or version < OLDEST:
        return None
    return OpensshHere(path, version, tuple(_say(path, "-Q", "cipher").split()))


def _say(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # -V answers on the standard error.
    return (done.stdout + done.stderr).decode("utf-8", "replace")
