"""Which files of a run are worth bringing home."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.bundle.digest import sha256_of_file
from kit.bundle.manifest import File
from kit.jobs.places import SECRETS
from kit.run.finish_run import INTERMEDIATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.run.record import RunRecord

SCRATCH = ("out", "home", "cache", "carried", "carried.part", "resume", "tokenized", SECRETS)
"""Folders of a run whose content is not listed as it stands; what the job made is, from its record."""


def list_files(folder: Path, record: RunRecord) -> Iterator[File]:
    """Yield the record, the files kit wrote, the logs, and what the run made; paths from the run's folder.

    What the run made bears the digests of its record; everything else is hashed now.
    """
    for path in _plain_files(folder):
        relative = path.relative_to(folder)
        if relative.parts[0] not in SCRATCH:
            blob = sha256_of_file(path)
            yield File(relative.as_posix(), blob.digest, blob.size)
    if record.artifact and not record.carried_from:
        for file in record.artifact.files:
            yield File(f"{record.artifact.path}/{file.path}", file.digest, file.size)


def list_kept(folder: Path) -> Iterator[File]:
    """Yield what a job keeps from run to run, hashed now, without checkpoints on the way to what was made."""
    if not folder.is_dir():
        return
    for path in _kept_files(folder):
        blob = sha256_of_file(path)
        yield File(path.relative_to(folder).as_posix(), blob.digest, blob.size)


def _kept_files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(INTERMEDIATE):
            yield from _kept_files(path)
        elif entry.is_file(follow_symlinks=False):
            yield path


def _plain_files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False) and (entry.name not in SCRATCH):
            yield from _plain_files(path)
        elif entry.is_file(follow_symlinks=False):
            yield path
