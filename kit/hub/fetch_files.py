"""Fetching many files at once, the largest first."""

from __future__ import annotations

import queue
import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from kit.errors import UnfitError
from kit.hub.fetch_file import fetch_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kit.bundle.manifest import Blob
    from kit.hub.fetch_file import Fetch
    from kit.hub.hub_cache import HubCache
    from kit.hub.port import HubFile, Place

WORKERS = 8
"""Connections to a hub at once; as many as its own clients open."""
_LOOK = 0.2
"""Seconds between two looks at the workers, so that Ctrl-C is heard."""


class _StoppedError(Exception):
    """Another file failed, or the user stopped it."""


def fetch_files(fetch: Fetch, files: Iterable[HubFile], workers: int = WORKERS) -> dict[str, Blob]:
    """Return digest and size of every file by path, each whole in the cache.

    Raises what `fetch_file` raises for the first file that fails; what the others have so far
    stays, and a later run goes on from there.
    """
    waiting: queue.SimpleQueue[HubFile] = queue.SimpleQueue()
    ordered = sorted(files, key=lambda file: -file.size)
    for file in ordered:
        waiting.put(file)
    crew = _Crew(fetch, waiting)
    crew.run(min(workers, len(ordered)))
    return crew.done


class _Crew:
    """Threads that share a queue and one ending."""

    def __init__(self, fetch: Fetch, waiting: queue.SimpleQueue[HubFile]) -> None:
        self._stop = threading.Event()
        self._fetch = replace(fetch, patience=replace(fetch.patience, sleep=self._sleep(fetch)))
        self._waiting = waiting
        self._failures: list[BaseException] = []
        self.done: dict[str, Blob] = {}

    def _sleep(self, fetch: Fetch) -> Callable[[float], None]:
        def sleep(seconds: float) -> None:
            # A real pause ends with the crew; 0 only asks whether to go on.
            while seconds > 0 and not self._stop.is_set():
                fetch.patience.sleep(min(seconds, _LOOK))
                seconds -= _LOOK
            if self._stop.is_set():
                raise _StoppedError

        return sleep

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                file = self._waiting.get_nowait()
                self.done[file.path] = fetch_file(self._fetch, file)
        except (queue.Empty, _StoppedError):
            return
        except BaseException as error:  # noqa: BLE001 - raised again where the crew is waited for
            self._failures.append(error)
            self._stop.set()

    def run(self, count: int) -> None:
        # Daemons: a connection that hangs does not keep kit from ending.
        threads = [threading.Thread(target=self._work, name="hub", daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) and not self._failures:
                for thread in threads:
                    thread.join(_LOOK / len(threads))
        finally:
            self._stop.set()
        for thread in threads:
            thread.join(_LOOK)
        if self._failures:
            raise self._failures[0]


def bytes_missing(cache: HubCache, place: Place, files: Iterable[HubFile]) -> int:
    """Return the bytes that are still to come. Raises TransferError when the cache cannot be read."""
    missing = {cache.partial(place, file): file.size for file in files if cache.find(file) is None}
    return sum(max(0, size - _size(partial)) for partial, size in missing.items())


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def check_room(folder: Path, needed: int) -> None:
    """Raise UnfitError, with both numbers, unless the disk that `folder` is on has the room."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UnfitError(
            f"{needed / 1e9:.1f} GB are to be fetched and {free / 1e9:.1f} GB are free",
            where=str(folder),
            why=f"{needed} bytes, {free} free",
            fix="make room there, or work in a folder on a larger disk",
        )
