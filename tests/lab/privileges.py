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


def why_unavailable(system: str, *, is_root: bool, has_sudo: bool, sudo_answers: bool) -> str:
    """Return why such a machine and user cannot run the lab, or "" when they can."""
    if system != "Linux":
        return f"the lab needs Linux (network namespaces); this is {system}"
    if is_root:
        return ""
    if not has_sudo:
        return "the lab needs root (network namespaces, mounts); run it as root, or install sudo"
    if not sudo_answers:
        return "the lab needs root, and sudo asks for a password here; run `sudo -v` first"
    return ""


def _why_unavailable_here() -> str:
    is_linux = platform.system() == "Linux"
    is_root = is_linux and os.geteuid() == 0
    has_sudo = shutil.which("sudo") is not None
    answers = not is_root and has_sudo and (sys.stdin.isatty() or try_run("sudo", "-n", "true"))
    return why_unavailable(platform.system(), is_root=is_root, has_sudo=has_sudo, sudo_answers=answers)


def command_line(*words: str) -> tuple[str, ...]:
    """Return the words that run a lab command as root; raises LabUnavailableError where nothing can."""
    reason = _why_unavailable_here()
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
