"""What kit asks of a machine: run a command there, feed it, hear it.

`kit.host.fabric_remote` does it over SSH, `kit.host.local_machine` on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its standard output, without the last newline."""
        return self.stdout.decode("utf-8", "replace").rstrip("\n")


class Host(Protocol):
    """One machine. Every method raises UnreachableError when the connection is lost."""

    @property
    def name(self) -> str:
        """Its name in kit.yaml, for messages."""

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command and return what it said. A status other than 0 is not an exception."""

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """Run a command, feeding `chunks` to its standard input while `on_line` gets each line of its output.

        The returned stdout is empty when `on_line` is given.
        """

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        """Run a command and hand its raw output to `sink` as it comes."""

    def close(self) -> None:
        """End the connection."""
