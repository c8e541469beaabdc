"""Recording how a run ended on this host: its log, its exit code, and what it made, hashed.

Works on the host itself. Runs that end while nobody watches are recorded by whoever asks next.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.digest import Hasher, read_file
from kit.bundle.manifest import File
from kit.errors import UnfitError, VerificationError
from kit.jobs.places import SECRETS
from kit.run.read_adapter import read_adapter
from kit.run.record import DONE, FAILED, LOST, OPEN, STOPPED, Artifact, RunRecord, Training
from kit.run.training_log import ALL_RESULTS, TRAINER_LOG, read_training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from kit.run.container import ContainerState
    from kit.run.engine_port import Engine
    from kit.run.run_store import RunStore

OUT = "out"
LOGS = "logs"
LOG_LINES = 100_000
"""Most lines of a container's log that are kept with the run."""
MAKERS = ("train", "export", "infer", "eval")
"""Kinds of job whose run ends by itself and leaves something behind."""
CHAT = "chat"
"""The kind of job that ends well when its user says so."""
TABLE = "table.json"
"""Where an infer or eval job leaves what is shown at its end."""
_TABLE_LIMIT = 1 << 16
_BYTES_BETWEEN_EVENTS = 32 << 20
INTERMEDIATE = "checkpoint-"
"""How the names of folders begin that a training leaves on its way."""


def end_state(kind: str, container: ContainerState | None, stopped: bool) -> str:  # noqa: FBT001
    """Return how a run ended. Pure."""
    if stopped:
        return STOPPED
    if container is None:
        return LOST
    return DONE if container.succeeded and kind in (*MAKERS, CHAT) else FAILED


def finish_run(
    store: RunStore,
    engine: Engine,
    record: RunRecord,
    emit: Callable[[dict[str, Any]], None],
    forced: str = "",
) -> RunRecord:
    """Record the end of a run whose container no longer runs, and return the new record.

    `forced` is a state that the caller knows better: `stopped`, or `failed` because another host
    failed. A run already recorded stays as it is. Raises UnfitError while the container runs.
    """
    if record.state != OPEN:
        return record
    container = engine.state(record.compose_project)
    if container is not None and container.running:
        fix = f"kit logs {record.job} -f, or kit down {record.job}"
        raise UnfitError(f"{record.job} still runs", where=record.host, fix=fix)
    folder = store.folder(record.job, record.run_id)
    if container is not None:
        _save_log(engine, record, folder / LOGS)
    shutil.rmtree(folder / SECRETS, ignore_errors=True)
    state = forced or end_state(record.kind, container, stopped=False)
    makes = record.kind in MAKERS and record.host == record.rank_zero
    finished = replace(
        record,
        state=state,
        finished=container.finished if container and container.finished else time.time(),
        exit_code=container.exit_code if container else None,
        out_of_memory=bool(container and container.out_of_memory),
        artifact=hash_artifact(folder / OUT, emit) if makes and state == DONE else None,
        adapter=read_adapter(folder / OUT) if makes and state == DONE else None,
        training=_training(folder / OUT) if makes and record.kind == "train" else None,
        table=read_table(_text(folder / OUT / TABLE)) if makes and state == DONE else (),
    )
    store.save(finished)
    return finished


def _save_log(engine: Engine, record: RunRecord, folder: Path) -> None:
    path = folder / f"{record.host}.log"
    with writing(path):
        folder.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.writelines(engine.logs(record.compose_project, LOG_LINES))


def _training(folder: Path) -> Training:
    return read_training(_text(folder / TRAINER_LOG).splitlines(), _text(folder / ALL_RESULTS))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def read_table(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the table in `table.json`, rows of text in an array; none when it is none or too large. Pure."""
    try:
        found = json.loads(text) if len(text) <= _TABLE_LIMIT else []
        return tuple(tuple(map(str, row)) for row in found)
    except (ValueError, TypeError):
        return ()


def made_files(folder: Path) -> Iterator[Path]:
    """Yield the files of an artifact in a stable order; checkpoints on the way to it are left out.

    Raises VerificationError for anything that is neither a plain file nor a folder.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(INTERMEDIATE):
                yield from made_files(path)
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            raise VerificationError("neither a file nor a folder among what the job made", where=str(path))


def hash_artifact(folder: Path, emit: Callable[[dict[str, Any]], None]) -> Artifact:
    """Return the artifact in a run's folder `out`, every file hashed. Emits the bytes done."""
    paths = list(made_files(folder)) if folder.is_dir() else []
    total = sum(path.stat().st_size for path in paths)
    emit({"event": "hashing", "total": total})
    return Artifact(OUT, tuple(_hashed(path, folder, emit) for path in paths))


def _hashed(path: Path, folder: Path, emit: Callable[[dict[str, Any]], None]) -> File:
    hasher = Hasher()
    told = 0
    for _ in hasher.watch(read_file(path)):
        if hasher.size - told >= _BYTES_BETWEEN_EVENTS:
            emit({"event": "hashed", "bytes": hasher.size - told})
            told = hasher.size
    emit({"event": "hashed", "bytes": hasher.size - told})
    return File(path.relative_to(folder).as_posix(), hasher.digest, hasher.size)


def usable_artifact(
    store: RunStore, engine: Engine, job: str, emit: Callable[[dict[str, Any]], None]
) -> RunRecord | None:
    """Return the newest run of a job on this host that made something, or None.

    A run that ended unwatched is recorded first. Raises VerificationError when a file of the
    artifact is gone or has another size than its record says.
    """
    for record in store.records(job):
        found = record
        if record.state == OPEN:
            container = engine.state(record.compose_project)
            if container is not None and container.running:
                continue
            found = finish_run(store, engine, record, emit)
        if found.carried_from and not _is_present(store, found):
            continue  # it is brought again
        whole = found.state == DONE or bool(found.carried_from)
        if whole and found.artifact is not None and found.artifact.files:
            _check_presence(store, found, found.artifact)
            return found
    return None


def _is_present(store: RunStore, record: RunRecord) -> bool:
    try:
        _check_presence(store, record, record.artifact or Artifact("", ()))
    except VerificationError:
        return False
    return True


def _check_presence(store: RunStore, record: RunRecord, artifact: Artifact) -> None:
    folder = store.folder(record.job, record.run_id) / artifact.path
    for file in artifact.files:
        path = folder / file.path
        if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
            raise VerificationError(
                f"what {record.job} made has changed: {file.path} is not the {file.size} bytes of its record",
                where=f"{record.host}:{path}",
                fix=f"kit up {record.job}",
            )
