"""What fakes of a host begin with: one that is asked for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kit.host.port import Argv, Completed, Lane, Passage, ignore


class DeafHost:
    """Fails the test that asks it for anything; its heirs answer what their tests ask for."""

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        raise AssertionError((argv, stdin, timeout))

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        raise AssertionError((argv, chunks, on_line))

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        raise AssertionError((argv, sink, stdin))

    def round_trip(self) -> float:
        raise AssertionError

    def open_lane(self, argv: Argv, *, aes: bool = False, note: Callable[[str], None] = ignore) -> Lane:
        raise AssertionError((argv, aes, note))

    def dial(self, address: str, port: int) -> Passage:
        raise AssertionError((address, port))

    def join(self, argv: Argv) -> int:
        raise AssertionError(argv)

    def close(self) -> None:
        """Nothing is open."""
