"""What a job made goes to the host that needs it next: from that host, through this machine, proven there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kit.errors import UnfitError
from kit.run.fleet import each
from kit.run.read_across import Reading
from kit.run.record import RunRecord, record_document
from kit.run.see_through import hashing_listener
from kit.run.take_made import CARRIED

if TYPE_CHECKING:
    from kit.bundle.manifest import File
    from kit.progress import Progress
    from kit.run.machine import Machine


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
    def folder(self) -> str:
        """Where they lie, below the host's root."""
        path = self.record.artifact.path if self.record.artifact else ""
        return f"runs/{self.record.job}/{self.record.run_id}/{path}"

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
    advance = partial(progress.advance, task)
    reading = Reading(carry.source, carry.target.name, carry.folder, wanted, advance)
    carry.target.feed(
        "take_made", reading.chunks(), record=document, host=carry.target.name, here=found["here"]
    )
    progress.finish(task)
