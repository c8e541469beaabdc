"""Reading files of one host while another one takes them, this machine between the two."""

from __future__ import annotations

import threading
from queue import Full, Queue
from typing import TYPE_CHECKING

from kit.errors import TransferError, VerificationError
from kit.run import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.bundle.manifest import File
    from kit.run.machine import Machine

_AHEAD = 64
"""Chunks read from the one host while the other has not taken them yet."""
_SECONDS_TO_NOTICE = 0.5


def read_files(source: Machine, target: Machine, folder: str, files: tuple[File, ...]) -> Iterator[bytes]:
    """Yield the bytes of files of a host, one after the other, for another host that takes them.

    `folder` is relative to the host's root. Raises VerificationError, TransferError or UnreachableError.
    """
    return Reading(source, target.name, folder, tuple((file, 0) for file in files)).chunks()


class Reading:
    """Reads files of the source in a thread of its own, while the target takes what was read."""

    def __init__(
        self,
        source: Machine,
        target: str,
        folder: str,
        wanted: tuple[tuple[File, int], ...],
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._target = target
        self._folder = folder
        self._wanted = wanted
        self._advance = advance
        self._queue: Queue[bytes | BaseException | None] = Queue(_AHEAD)
        self._over = threading.Event()

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of all files, one after the other; raises what the reading fails with."""
        threading.Thread(target=self._read_all, daemon=True).start()
        try:
            while (item := self._queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                self._advance(len(item))
                yield item
        finally:
            self._over.set()

    def _read_all(self) -> None:
        try:
            for file, start in self._wanted:
                if start < file.size:
                    self._read(file, start)
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._put(error)

    def _read(self, file: File, start: int) -> None:
        machine = self._source
        path = f"{machine.spec.root}/{self._folder}/{file.path}"
        read = start

        def take(chunk: bytes) -> None:
            nonlocal read
            read += len(chunk)
            if read > file.size:
                raise _changed(machine.name, path, f"more than its {file.size} bytes")
            self._put(chunk)

        done = machine.host.receive(commands.print_rest(path, start), take)
        if done.status != 0:
            why = done.stderr.decode("utf-8", "replace").strip() or f"status {done.status}"
            raise TransferError("cannot be read", where=f"{machine.name}:{path}", why=why)
        if read != file.size:
            raise _changed(machine.name, path, f"{read} bytes, recorded {file.size}")

    def _put(self, item: bytes | BaseException | None) -> None:
        while not self._over.is_set():
            try:
                self._queue.put(item, timeout=_SECONDS_TO_NOTICE)
            except Full:
                continue
            return
        raise TransferError("nobody takes it any more", where=self._target)


def _changed(host: str, path: str, why: str) -> VerificationError:
    return VerificationError(
        "the file is not the one that was recorded",
        where=f"{host}:{path}",
        why=why,
        fix="it changed on the host after its run; run the job again",
    )
