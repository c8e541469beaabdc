"""Running programs: commands are tuples of words, and a failure tells the program's own last words."""

from __future__ import annotations

import subprocess
import time
from typing import IO, TYPE_CHECKING, Any

from tests.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LAST_LINES = 12


def run(*argv: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return its output as text; raises LabError when it fails."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, env=env, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; python3 -m tests.lab setup installs it") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}: " + "\n".join(said))
    return done.stdout.decode(errors="replace")


def try_run(*argv: str) -> bool:
    """Run a program whose failure is an answer, too; return whether it ended with status 0."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def start_detached(argv: tuple[str, ...], output: IO[bytes], env: Mapping[str, str] | None = None) -> None:
    """Start a program that outlives this one; what it prints goes to a file."""
    words: dict[str, Any] = {"stdout": output, "stderr": output, "env": env, "start_new_session": True}
    subprocess.Popen(argv, stdin=subprocess.DEVNULL, **words)


def wait_until(is_so: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Ask again and again until the answer is yes (True) or the time is over (False)."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
