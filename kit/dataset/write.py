"""Writing records to a file: whole under its name, or not there at all."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import ConfigError, TransferError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_SUFFIXES = {".json": True, ".jsonl": False}
"""Suffix → whether it is an array; LLaMA-Factory takes no others."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How results are written."""

    force: bool = False
    """Replace what is there."""
    dry_run: bool = False
    """Read everything, and write nothing."""


ONCE = Writing()


class RecordFile:
    """A file that records are added to: an array for `.json`, lines for `.jsonl`."""

    def __init__(self, file: BinaryIO, *, is_array: bool) -> None:
        self._file = file
        self._is_array = is_array
        self.records = 0
        """How many were added."""

    def add(self, raw: bytes) -> None:
        """Write a record, given as JSON."""
        import msgspec

        if self._is_array:
            self._file.write(b",\n" if self.records else b"[\n")
            self._file.write(raw.strip())
        else:
            # A record of an array may stand on several lines.
            self._file.write(msgspec.json.format(raw, indent=-1) if b"\n" in raw else raw.strip())
            self._file.write(b"\n")
        self.records += 1

    def end(self) -> None:
        """Write what ends the file."""
        if self._is_array:
            self._file.write(b"\n]\n" if self.records else b"[]\n")


def check_targets(targets: tuple[Path, ...], source: Path, writing: Writing) -> None:
    """Raise ConfigError for a target that is there, has another suffix, is the source, or stands nowhere."""
    for target in targets:
        where = str(target)
        if target.suffix not in _SUFFIXES:
            raise ConfigError(
                "LLaMA-Factory reads .json and .jsonl", where=where, fix="end its name in one of the two"
            )
        if not target.parent.is_dir():
            raise ConfigError("its folder is not there", where=where, fix=f"mkdir -p {target.parent}")
        if target.exists() and source.exists() and target.samefile(source):
            raise ConfigError("it would replace what is read", where=where, fix="give another name")
        if target.is_dir() or (target.exists() and not writing.force):
            raise ConfigError(
                "is there already", where=where, fix="--force replaces it, or give another name"
            )


@contextmanager
def written(targets: tuple[Path, ...], writing: Writing) -> Iterator[tuple[RecordFile, ...]]:
    """Yield a file for each target; they get their names together, when the block ends well.

    A dry run writes nothing. Raises UnfitError without room, TransferError when the disk fails.
    """
    if writing.dry_run:
        with Path(os.devnull).open("wb") as nowhere:
            yield tuple(RecordFile(nowhere, is_array=_SUFFIXES[target.suffix]) for target in targets)
        return
    fresh = [target.with_name(f".{target.name}.new") for target in targets]
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(_opened(path)) for path in fresh]
            records = tuple(
                RecordFile(file, is_array=_SUFFIXES[target.suffix])
                for file, target in zip(files, targets, strict=True)
            )
            yield records
            for file, record in zip(files, records, strict=True):
                record.end()
                file.flush()
                os.fsync(file.fileno())
        for path, target in zip(fresh, targets, strict=True):
            path.replace(target)
    except OSError as error:
        why, where = error.strerror or str(error), str(targets[0].parent)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnfitError("no room left", where=where, why=why, fix=f"df -h {where}") from error
        raise TransferError("cannot be written", where=where, why=why) from error
    finally:
        for path in fresh:
            path.unlink(missing_ok=True)


def _opened(path: Path) -> BinaryIO:
    return path.open("wb")
