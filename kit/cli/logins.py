"""Reaching hosts from the command line; what a login needs is asked at the terminal, where there is one."""

from __future__ import annotations

import getpass
import sys
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from kit.cli.harmless import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from kit.host.port import Host
    from kit.run.machine import Toolbox


class Pausable(Protocol):
    """Something that draws on the terminal."""

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody who asks a question there."""


class Stage:
    """The terminal of a command that draws one thing after another: each has it in its turn."""

    def __init__(self) -> None:
        self.shown: Pausable | None = None

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody who asks a question there."""
        return self.shown.paused() if self.shown is not None else nullcontext()


class Prompt:
    """Asks for a secret at the terminal, unseen. Called from the threads that connect."""

    def __init__(self, progress: Pausable | None = None) -> None:
        self._progress = progress
        self._before: list[Any] | None = None
        """How the terminal was set, while somebody is asked."""

    def __call__(self, prompt: str) -> str | None:
        """Return what was typed; None when the terminal was closed instead (Ctrl-D)."""
        with self._progress.paused() if self._progress else nullcontext():
            self._before = _terminal_settings()
            try:
                # The space at the end goes with `one_line`.
                return getpass.getpass(f"{one_line(prompt)} ")
            except EOFError:
                return None
            finally:
                self._before = None

    def close(self) -> None:
        """Give the terminal back as it was: after Ctrl-C the thread that asks still waits for an answer."""
        if self._before is not None:
            _restore(self._before)
            sys.stderr.write("\n")


def _terminal_settings() -> list[Any] | None:
    with suppress(ImportError):
        import termios

        with suppress(termios.error):
            return termios.tcgetattr(sys.stdin.fileno())
    return None


def _restore(settings: list[Any]) -> None:
    import termios

    termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, settings)


@contextmanager
def asking_connect(progress: Pausable | None = None) -> Iterator[Callable[..., Host]]:
    """Yield what connects to a host, and asks for passwords and passphrases when there is a terminal."""
    from kit.host.connect import connect
    from kit.host.secrets import Secrets

    prompt = Prompt(progress)
    try:
        yield partial(connect, secrets=Secrets(prompt if sys.stdin.isatty() else None))
    finally:
        prompt.close()


@contextmanager
def asking_toolbox(progress: Pausable | None = None) -> Iterator[Toolbox]:
    """Yield the toolbox that reaches real hosts by `asking_connect`."""
    from kit.run.machine import real_toolbox

    with asking_connect(progress) as connect:
        yield real_toolbox(connect)
