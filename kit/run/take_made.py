"""Taking in, on this host, what an earlier job made on another one.

It goes into `carried` in the run's folder. Until every file is proven it is called `carried.part`, which
nothing looks into; the record that names it comes last. What a broken connection left there goes on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.digest import CHUNK, Hasher, read_file, sha256_of_file
from kit.errors import TransferError, UnfitError, VerificationError
from kit.run.record import Artifact, RunRecord
from kit.run.run_store import RECORD, RunStore, plain_relative

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from kit.bundle.manifest import File

CARRIED = "carried"
"""Folder of a run on a host that did not make what it holds."""
_DRAFT = "carried.part"


def _draft(store: RunStore, record: RunRecord) -> Path:
    return store.folder(record.job, record.run_id) / _DRAFT


def _artifact(record: RunRecord) -> Artifact:
    if record.artifact is None or not record.artifact.files:
        raise VerificationError(f"{record.job} made nothing", where=record.run_id)
    for file in record.artifact.files:
        plain_relative(file.path)
    return record.artifact


def parts_here(store: RunStore, record: RunRecord, emit: Callable[[dict[str, Any]], None]) -> dict[str, int]:
    """Return path → how many bytes of it need not be sent; whole files among them are proven now.

    What lies there and belongs to nothing is removed. Raises UnfitError or TransferError when the disk fails.
    """
    artifact, draft = _artifact(record), _draft(store, record)
    with writing(draft):
        whole = draft.with_name(CARRIED)
        if whole.is_dir() and not draft.exists():
            whole.rename(draft)
        draft.mkdir(parents=True, exist_ok=True)
        _remove_strays(draft, {file.path for file in artifact.files})
        emit({"event": "hashing", "total": artifact.size})
        return {file.path: _bytes_here(draft / file.path, file, emit) for file in artifact.files}


def _remove_strays(draft: Path, known: set[str]) -> None:
    for folder, names, files in os.walk(draft):
        place = draft.__class__(folder)
        for name in [name for name in names if (place / name).is_symlink()] + files:
            path = place / name
            if path.is_symlink() or path.relative_to(draft).as_posix() not in known:
                path.unlink()


def _bytes_here(path: Path, file: File, emit: Callable[[dict[str, Any]], None]) -> int:
    if path.is_dir():
        shutil.rmtree(path)
    if not path.is_file():
        return 0
    size = path.stat().st_size
    if size < file.size:
        return size
    if size == file.size and sha256_of_file(path) == file.blob:
        emit({"event": "hashed", "bytes": file.size})
        return size
    path.unlink()
    return 0


def take_made(
    store: RunStore, record: RunRecord, host: str, here: Mapping[str, int], stdin: BinaryIO
) -> RunRecord:
    """Take the bytes that are not here from `stdin`, in the order of the record; return this host's record.

    Raises VerificationError for a file that is not the recorded one, TransferError when the bytes end
    early, UnfitError when there is no room or another kit does the same.
    """
    artifact, draft = _artifact(record), _draft(store, record)
    with writing(draft), _alone(draft):
        for file in artifact.files:
            take_file(draft / file.path, file, int(here.get(file.path, 0)), stdin)
        shutil.rmtree(whole := draft.with_name(CARRIED), ignore_errors=True)
        draft.rename(whole)
        sync_folder(whole.parent)
    own = record
    if (whole.parent / RECORD).is_file():
        own = store.read(record.job, record.run_id)
    carried = replace(own, host=host, artifact=Artifact(CARRIED, artifact.files), carried_from=record.host)
    store.save(carried)
    return carried


@contextmanager
def _alone(draft: Path) -> Iterator[None]:
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UnfitError(
            "another kit brings the same files right now", where=str(draft), fix="wait for it, then again"
        ) from error
    finally:
        os.close(descriptor)


def take_file(path: Path, file: File, start: int, stdin: BinaryIO) -> None:
    """Take a file's bytes from `start` on, and prove the whole of it. Raises as `take_made` does."""
    if start == file.size and path.is_file():
        return  # proven by parts_here
    path.parent.mkdir(parents=True, exist_ok=True)
    hasher = Hasher()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as target:
        target.truncate(start)
        for _ in hasher.watch(read_file(path, 0, start)):
            pass
        target.seek(start)
        for chunk in hasher.watch(_exactly(stdin, file.size - start, path)):
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if hasher.blob != file.blob:
        path.unlink()
        raise VerificationError(
            "what arrived is not the file that was recorded",
            where=str(path),
            why=f"{hasher.size} bytes with {hasher.digest}, recorded {file.size} with {file.digest}",
            fix="the same command again; if it stays so, the file changed: run the job that made it again",
        )


def _exactly(stdin: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    while size:
        chunk = stdin.read(min(size, CHUNK))
        if not chunk:
            raise TransferError(
                "the bytes end early", where=str(path), why=f"{size} are left", fix="the same command again"
            )
        size -= len(chunk)
        yield chunk
