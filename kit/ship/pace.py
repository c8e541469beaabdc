"""How fast bytes go to a host: remembered from the last ship, or tried for a moment.

The record stands in the user's state folder (XDG). It only tells people how long something will
take; one that cannot be read or written is passed over.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.signature.seen import seen_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kit.host.port import Host
    from kit.project.model import HostSpec

WORTH_KEEPING = 16 << 20
"""Bytes from which on a ship tells a rate."""
WORTH_TRYING = 256 << 20
"""Bytes to send from which on a rate that is not known is tried."""
TRIAL_SECONDS = 0.3
_TRIAL_BYTES = 64 << 20
_CHUNK = 1 << 18
_MOST = 1 << 50
_RECORD_LIMIT = 1 << 20


@dataclass(slots=True)
class Pace:
    """The bytes that went, between the first and the last of them. Thread-safe."""

    clock: Callable[[], float] = time.monotonic
    _first: float | None = None
    _last: float = 0.0
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, size: int) -> None:
        """Add bytes that went just now."""
        with self._lock:
            self._last = self.clock()
            if self._first is None:
                self._first = self._last
            else:
                self._bytes += size

    @property
    def rate(self) -> float | None:
        """Bytes a second; None when too few went to tell."""
        if self._first is None or self._bytes < WORTH_KEEPING or self._last <= self._first:
            return None
        return self._bytes / (self._last - self._first)


def pace_key(spec: HostSpec) -> str:
    """Return the name of a host in the record."""
    return f"{spec.user or ''}@{spec.address}:{spec.port or ''}"


def pace_path() -> Path:
    """Return where the record stands."""
    return seen_path().with_name("paces.json")


def parse_paces(data: bytes) -> dict[str, float]:
    """Return the rates in a record, bytes a second by host; what is none is left out. Pure."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {k: float(v) for k, v in document.items() if type(v) in (int, float) and 1 <= v <= _MOST}


def load_paces(path: Path) -> Mapping[str, float]:
    """Return the record; an empty one when there is none to be read."""
    with suppress(OSError), path.open("rb") as file:
        return parse_paces(file.read(_RECORD_LIMIT))
    return {}


def keep_paces(path: Path, paces: Mapping[str, float]) -> None:
    """Add rates to the record, if it can be written."""
    if not paces:
        return
    grown = {**load_paces(path), **{key: int(rate) for key, rate in paces.items()}}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(prefix=".paces-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(grown, file, indent=1, sort_keys=True)
        Path(temporary).replace(path)


def try_pace(host: Host, clock: Callable[[], float] = time.monotonic) -> float | None:
    """Return the bytes a second that a host takes in for a moment; None when it takes none.

    Raises UnreachableError.
    """
    sent = 0
    started = clock()

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        noise = os.urandom(_CHUNK)
        while sent < _TRIAL_BYTES and clock() - started < TRIAL_SECONDS:
            yield noise
            sent += len(noise)

    done = host.stream(("sh", "-c", "cat >/dev/null"), chunks())
    took = clock() - started
    return sent / took if done.status == 0 and sent and took > 0 else None
