"""What kit asks of a machine: run a command there, feed it, hear it.

`kit.host.fabric_remote` does it over SSH, `kit.host.local_machine` on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Argv = tuple[str, ...]


def ignore(note: str) -> None:
    """Hear a note, and do nothing."""
    del note


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


class Lane(Protocol):
    """A command that takes bytes and answers in lines. Methods raise UnreachableError when it is lost."""

    def write(self, data: bytes) -> None:
        """Feed it bytes."""

    def send_file(self, path: Path, offset: int, length: int) -> int:
        """Feed it bytes of a file; return how many, fewer than `length` where the file ends.

        Raises TransferError when the file cannot be read.
        """

    def read_line(self) -> bytes:
        """Return the next line that it says, without the newline; none at the end."""

    def finish(self) -> Completed:
        """End its input, and wait for it."""

    def abort(self) -> None:
        """End it from this side; calls that wait return."""


class Passage(Protocol):
    """A connection to a port of a host, such as a socket. OSError or EOFError says that it is lost."""

    def recv(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""

    def sendall(self, data: bytes, /) -> None:
        """Send bytes."""

    def shutdown(self, how: int, /) -> None:
        """End one direction or both (`socket.SHUT_WR`, `SHUT_RDWR`)."""

    def close(self) -> None:
        """End it."""


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

    def round_trip(self) -> float:
        """Return the seconds of a question and its answer, as they are while nothing else is sent."""

    def open_lane(self, argv: Argv, *, aes: bool = False, note: Callable[[str], None] = ignore) -> Lane:
        """Start a command over a connection of its own, beside whatever else runs.

        `aes` says that the host's processor has AES instructions (HostFacts.aes). `note` hears, once a host,
        when that is done another way than the fastest, and why.
        """

    def dial(self, address: str, port: int) -> Passage:
        """Connect to a port as the host itself would, to something that listens on its loopback, say.

        Raises JobError when nothing answers there, UnfitError when the host lets nobody through.
        """

    def join(self, argv: Argv) -> int:
        """Run a command at a terminal there, joined to the one here; return its exit status."""

    def close(self) -> None:
        """End the connection, lanes and passages too."""
