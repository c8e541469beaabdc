"""Keeping receipts on the machine that ships, beside kit.yaml: of every host, also of those that failed."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from kit.bundle.digest import blob_of
from kit.ship.receipt import FORMAT, error_words, receipt_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kit.bundle.source import BundleSource
    from kit.errors import KitError
    from kit.progress import HostProgress
    from kit.ship.receipt import Receipt


class Milestones:
    """Passes on what is told of hosts, and remembers how far each one came."""

    def __init__(self, progress: HostProgress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._phases: dict[str, str] = {}
        self._sent: dict[str, int] = {}

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        """Hear what is done with a host."""
        with self._lock:
            if phase != "failed":
                self._phases[host] = phase
        self._progress.phase(host, phase, send_bytes=send_bytes, text=text)

    def sent(self, host: str, amount: int) -> None:
        """Hear of bytes that went to a host."""
        with self._lock:
            self._sent[host] = self._sent.get(host, 0) + amount
        self._progress.sent(host, amount)

    def note(self, text: str) -> None:
        """Pass on a line."""
        self._progress.note(text)

    def of(self, host: str) -> dict[str, Any]:
        """Return how far a host came: the phase that it was in, and the bytes that went to it."""
        with self._lock:
            return {"reached": self._phases.get(host, ""), "sent_bytes": self._sent.get(host, 0)}


def receipt_documents(
    source: BundleSource,
    receipts: tuple[Receipt, ...],
    failures: Mapping[str, KitError],
    milestones: Milestones,
    who: str,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (host, receipt) for every host, those that failed last."""
    head = {
        "kit_receipt": FORMAT,
        "name": source.manifest.name,
        "bundle": blob_of(source.manifest_bytes).digest,
        "who": who,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    for receipt in receipts:
        yield receipt.host, {**head, **receipt.document(), "outcome": "done"}
    for host, error in failures.items():
        yield (
            host,
            {**head, "host": host, "outcome": "failed", "error": error_words(error), **milestones.of(host)},
        )


def keep_receipts(folder: Path, documents: Iterator[tuple[str, dict[str, Any]]]) -> Path | None:
    """Write receipts into a folder of their own below `folder/.kit/receipts`; return it, None without any.

    Nobody else can read them. Raises OSError.
    """
    made: Path | None = None
    for host, document in documents:
        if made is None:
            made = _own_folder(folder / ".kit" / "receipts", str(document["bundle"])[7:19])
        _write(made / f"{host}.json", json.dumps(document, indent=1) + "\n")
        _write(made / f"{host}.txt", receipt_line(document) + "\n")
    return made


def _own_folder(above: Path, name: str) -> Path:
    for folder in (above.parent, above):
        folder.mkdir(exist_ok=True, mode=0o700)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for turn in range(100):
        folder = above / (f"{stamp}-{name}" + (f"-{turn}" if turn else ""))
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(str(above / f"{stamp}-{name}"))


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
