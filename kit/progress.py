"""What long work tells about itself. The command line shows it; tests and agents ignore it."""

from __future__ import annotations

from typing import Protocol

PHASES = ("have", "plan", "send", "assemble", "load", "place", "done", "failed")
"""What is done with a host: asked, planned for, sent to, proven there, loaded, placed; and how it ended."""


class Progress(Protocol):
    """Hears about tasks, from any thread. A task is named by the text shown for it."""

    def start(self, task: str, total: int | None = None) -> None:
        """Begin a task of `total` bytes (None: unknown)."""

    def advance(self, task: str, amount: int) -> None:
        """Report `amount` more bytes done."""

    def report(self, task: str, text: str, fraction: float | None = None) -> None:
        """Say how a task that is not counted in bytes stands; `fraction` of it (0 to 1) is done."""

    def finish(self, task: str) -> None:
        """End a task."""

    def note(self, text: str) -> None:
        """Say one line."""


class HostProgress(Protocol):
    """Hears about work on several hosts, from any thread: a row for each."""

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        """Say what is done with a host now (one of PHASES), and how many bytes it is to get, once known.

        `text` tells more of it: an image, a path, what failed. It may come from the host.
        """

    def sent(self, host: str, amount: int) -> None:
        """Report `amount` more bytes that went to a host."""

    def note(self, text: str) -> None:
        """Say one line."""


class NoProgress:
    """Tells nobody."""

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        """Ignore."""

    def sent(self, host: str, amount: int) -> None:
        """Ignore."""

    def start(self, task: str, total: int | None = None) -> None:
        """Ignore."""

    def advance(self, task: str, amount: int) -> None:
        """Ignore."""

    def report(self, task: str, text: str, fraction: float | None = None) -> None:
        """Ignore."""

    def finish(self, task: str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
