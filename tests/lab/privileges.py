"""Whether this machine and this user can run the lab; without root, sudo carries the same command on."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from tests.lab.errors import LabUnavailableError
from tests.lab.shell import try_run

REPOSITORY = Path(__file__).resolve().parents[2]
PASSED_ON = ("KIT_LAB_NAME", "KIT_LAB_STATE", "KIT_LAB_CACHE", "KIT_LAB_MIRROR")


def why_unavailable() -> str:
    """Return why this machine cannot run the lab, or "" when it can."""
    if platform.system() != "Linux":
        return f"the lab needs Linux (network namespaces); this is {platform.system()}"
    if os.geteuid() != 0 and not shutil.which("sudo"):
        return "the lab needs root (network namespaces, mounts); run it as root, or install sudo"
    if os.geteuid() != 0 and not sys.stdin.isatty() and not try_run("sudo", "-n", "true"):
        return "the lab needs root, and sudo asks for a password here; run `sudo -v` first"
    return ""


def command_line(*words: str) -> tuple[str, ...]:
    """Return the words that run a lab command as root; raises LabUnavailableError where nothing can."""
    reason = why_unavailable()
    if reason:
        raise LabUnavailableError(reason)
    own = (sys.executable, "-m", "tests.lab", *words)
    if os.geteuid() == 0:
        return own
    passed = tuple(f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ)
    ask = () if sys.stdin.isatty() else ("-n",)
    return ("sudo", *ask, "env", f"PATH={os.environ['PATH']}:/usr/sbin:/sbin", *passed, *own)


def become_root(words: tuple[str, ...]) -> None:
    """Return as root, or go on as root in this process's place; raises LabUnavailableError."""
    argv = command_line(*words)
    if os.geteuid() != 0:
        os.chdir(REPOSITORY)
        os.execvp(argv[0], argv)
