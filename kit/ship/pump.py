"""Bytes to a host beside the talk with its agent: through `cat` into the pipe that the agent reads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kit.errors import KitError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from kit.host.port import Host

_INTO = 'cat >"$1"'
PATIENCE = 60.0
"""Seconds that the last bytes may take to be given up after the agent has ended."""


class Pump:
    """Sends chunks into a pipe on a host, once it is started, in a thread of its own.

    As a context it ends with the agent's call inside it. What went wrong in reading the chunks then
    takes the place of what the agent made of their sudden end.
    """

    def __init__(self, host: Host, path: str, chunks: Iterable[bytes]) -> None:
        self._host = host
        self._argv = ("sh", "-c", _INTO, "sh", path)
        self._chunks = chunks
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = False
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to send; a second call changes nothing."""
        if not self._started:
            self._started = True
            self._thread.start()

    def _run(self) -> None:
        try:
            self._host.stream(self._argv, self._chunks)
        except BaseException as failure:  # noqa: BLE001 - raised again where the pump ends
            self._failure = failure

    def __enter__(self) -> Pump:  # noqa: PYI034 - Self is in typing from 3.11 on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        if self._started:
            self._thread.join(PATIENCE)
        failure = self._failure
        # A host that is gone is told of by the call itself, if that failed too.
        if failure is None or (raised is not None and isinstance(failure, UnreachableError)):
            return
        if raised is None and isinstance(failure, KitError):
            return
        raise failure from raised
