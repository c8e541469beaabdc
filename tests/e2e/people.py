"""kit's command line as people run it: with a home folder of their own, at a terminal or without one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.terminal import Terminal


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a person with this home folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KIT_", "SSH_"))}
    return {**kept, "HOME": str(home), "KIT_SSH_CONFIG": str(home / ".ssh/config"), **more}


def configure(home: Path, text: str) -> None:
    """Write the SSH configuration; kit is given it by name, since ssh itself does not look at HOME."""
    known = f"UserKnownHostsFile {home}/.ssh/known_hosts\nGlobalKnownHostsFile none\n"
    (home / ".ssh/config").write_text(f"{text}\nHost *\n{known}")


def kit(verb: str, definition: Path, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "kit", verb, "-f", str(definition), *words)


def run(argv: tuple[str, ...], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command that has no terminal."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=dict(env), check=False
    )
    print(done.stderr, file=sys.stderr)
    return done


@contextmanager
def typing(argv: tuple[str, ...], env: Mapping[str, str], files: Path | None = None) -> Iterator[Terminal]:
    terminal = Terminal(argv, env, files)
    try:
        yield terminal
    finally:
        print(terminal.shown, file=sys.stderr)
        terminal.close()
