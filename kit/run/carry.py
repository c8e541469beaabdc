"""What a job made goes to the host that needs it next: from that host, through this machine, proven there."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Full, Queue
from typing import TYPE_CHECKING

from kit.errors import TransferError, UnfitError, VerificationError
from kit.run import commands
from kit.run.fleet import each
from kit.run.record import RunRecord, record_document
from kit.run.see_through import hashing_listener
from kit.run.take_made import CARRIED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.bundle.manifest import File
    from kit.progress import Progress
    from kit.run.machine import Machine

_AHEAD = 64
"""Chunks read from the one host while the other has not taken them yet."""
_SECONDS_TO_NOTICE = 0.5


@dataclass(frozen=True, slots=True)
class Carry:
    """Files of a run that lie on one host and are needed on another."""

    record: RunRecord
    """Of the host that has them."""
    source: Machine
    target: Machine

    @property
    def files(self) -> tuple[File, ...]:
        """What goes."""
        return self.record.artifact.files if self.record.artifact else ()

    @property
    def shown(self) -> Carried:
        """The same, to show."""
        size = sum(file.size for file in self.files)
        names = (self.source.name, self.target.name)
        return Carried(self.record.job, self.record.run_id, *names, len(self.files), size)


@dataclass(frozen=True, slots=True)
class Carried:
    """What went, or would go, from host to host."""

    job: str
    run_id: str
    source: str
    target: str
    files: int
    bytes: int


def carried_folder(root: str, job: str, run_id: str) -> str:
    """Return where a host holds what a job made elsewhere. Pure."""
    return f"{root}/runs/{job}/{run_id}/{CARRIED}"


def check_room(carries: tuple[Carry, ...]) -> None:
    """Raise UnfitError when a host lacks the room for what is to come. Pure."""
    for target in dict.fromkeys(carry.target.name for carry in carries):
        coming = [carry for carry in carries if carry.target.name == target]
        needed = sum(carry.shown.bytes for carry in coming)
        facts = coming[0].target.facts
        if facts.free_bytes is not None and needed > facts.free_bytes:
            raise UnfitError(
                f"no room for what {', '.join(carry.record.job for carry in coming)} made",
                where=target,
                why=f"{needed} bytes, and {facts.free_bytes} are free under {facts.root}",
                fix=f"make room under {facts.root}, or run the job on {coming[0].source.name}",
            )


def carry_all(carries: tuple[Carry, ...], progress: Progress) -> None:
    """Bring everything, to several hosts at once. Raises what `carry_made` raises."""
    targets = tuple(dict.fromkeys(carry.target.name for carry in carries))

    def bring(target: str) -> None:
        for carry in carries:
            if carry.target.name == target:
                carry_made(carry, progress)

    each(targets, bring)


def carry_made(carry: Carry, progress: Progress) -> None:
    """Bring the files to the host that needs them; what is there already does not go again.

    Raises VerificationError for bytes that are not the record's, TransferError or UnreachableError when a
    connection breaks (the next try goes on there), UnfitError when there is no room.
    """
    task = f"bring what {carry.record.job} made from {carry.source.name} to {carry.target.name}"
    document = record_document(carry.record)
    found = carry.target.ask("made_here", hashing_listener(task, progress), record=document)
    here = {str(path): int(size) for path, size in found["here"].items()}
    wanted = tuple((file, here.get(file.path, 0)) for file in carry.files)
    progress.start(task, sum(file.size - start for file, start in wanted))
    reading = _Reading(carry, wanted, lambda amount: progress.advance(task, amount))
    carry.target.feed(
        "take_made", reading.chunks(), record=document, host=carry.target.name, here=found["here"]
    )
    progress.finish(task)


class _Reading:
    """Reads files of the source in a thread of its own, while the target takes what was read."""

    def __init__(
        self, carry: Carry, wanted: tuple[tuple[File, int], ...], advance: Callable[[int], None]
    ) -> None:
        self._carry = carry
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
        machine, record = self._carry.source, self._carry.record
        folder = record.artifact.path if record.artifact else ""
        path = f"{machine.spec.root}/runs/{record.job}/{record.run_id}/{folder}/{file.path}"
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
        raise TransferError("nobody takes it any more", where=self._carry.target.name)


def _changed(host: str, path: str, why: str) -> VerificationError:
    return VerificationError(
        "the file is not the one that was recorded",
        where=f"{host}:{path}",
        why=why,
        fix="it changed on the host after its run; run the job again",
    )
