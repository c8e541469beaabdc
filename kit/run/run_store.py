"""The runs on one host: `ROOT/runs/<job>/<id>/`, each with its record.

The names of jobs and runs, and the paths of files, come from another machine; none may lead out
of the folder it is for.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.errors import UnfitError, VerificationError
from kit.run.record import RunRecord, dump_record, parse_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.jobs.launch import LaunchFile

RECORD = "run.json"
LATEST = "latest"
_NAME = re.compile(r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$")


def plain_relative(path: str) -> str:
    """Return a relative path that stays inside its folder, unchanged. Raises VerificationError."""
    parts = path.split("/")
    if not path or "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise VerificationError("not a plain relative path", where=path)
    return path


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise VerificationError("not the name of a job or run", where=text)
    return text


@dataclass(frozen=True, slots=True)
class RunStore:
    """The folder `runs` under a host's root."""

    root: Path

    def folder(self, job: str, run_id: str) -> Path:
        """Return the folder of a run. Raises VerificationError for what is not a name."""
        return self.root / "runs" / _name(job) / _name(run_id)

    def kept(self, job: str) -> Path:
        """Return the folder of what a job keeps from run to run. Raises VerificationError."""
        return self.root / "kept" / _name(job)

    def create(self, record: RunRecord, folders: tuple[str, ...], files: tuple[LaunchFile, ...]) -> Path:
        """Lay out a run's folder, whole or not at all, and make it the job's latest.

        Raises UnfitError or TransferError when the disk fails.
        """
        folder = self.folder(record.job, record.run_id)
        draft = folder.with_name(f".{folder.name}.new")
        with writing(folder):
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for name in folders:
                (draft / plain_relative(name)).mkdir(parents=True, exist_ok=True)
            for file in files:
                path = draft / plain_relative(file.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, file.content.encode(), file.mode)
            _write(draft / RECORD, dump_record(record), 0o640)
            draft.rename(folder)
            _point(folder.parent / LATEST, folder.name)
            sync_folder(folder.parent)
        return folder

    def save(self, record: RunRecord) -> None:
        """Replace a run's record, whole or not at all. Raises UnfitError or TransferError."""
        path = self.folder(record.job, record.run_id) / RECORD
        draft = path.with_name(f".{RECORD}.new")
        with writing(path):
            _write(draft, dump_record(record), 0o640)
            draft.replace(path)
            sync_folder(path.parent)

    def read(self, job: str, run_id: str) -> RunRecord:
        """Return a run's record. Raises UnfitError when there is no such run."""
        path = self.folder(job, run_id) / RECORD
        try:
            return parse_record(path.read_bytes(), str(path))
        except FileNotFoundError as error:
            raise UnfitError(f"no run {run_id!r} of {job!r}", where=str(path), fix="kit status") from error
        except PermissionError as error:
            raise UnfitError(
                "the record of a run cannot be read",
                where=str(path),
                why=str(error.strerror),
                fix=f"as root: chown -R --reference={self.root} {path.parent}",
            ) from error

    def records(self, job: str | None = None) -> Iterator[RunRecord]:
        """Yield the records of a job's runs, or of all, newest first."""
        names = [job] if job is not None else sorted(_folders(self.root / "runs"))
        for name in names:
            for run_id in sorted(_folders(self.root / "runs" / _name(name)), reverse=True):
                if (self.folder(name, run_id) / RECORD).is_file():
                    yield self.read(name, run_id)


def _folders(parent: Path) -> Iterator[str]:
    if not parent.is_dir():
        return
    for entry in os.scandir(parent):
        if entry.is_dir(follow_symlinks=False) and _NAME.match(entry.name):
            yield entry.name


def _write(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _point(link: Path, target: str) -> None:
    draft = link.with_name(f".{link.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)
