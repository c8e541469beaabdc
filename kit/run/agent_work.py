"""What kit does on a host for the runs there, one function a verb.

A verb takes a request (JSON), and gives back a result (JSON) and events on the way. The functions
take the engine as a port; `kit.run.agent_verbs` brings the real one.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kit.bundle.manifest import File
from kit.errors import JobError
from kit.jobs.launch import LaunchFile
from kit.run.checkpoint_files import (
    hash_checkpoint,
    link_checkpoint,
    list_checkpoints,
    take_checkpoint,
)
from kit.run.finish_run import CHAT, LOGS, finish_run, usable_artifact
from kit.run.last_lines import read_last_lines
from kit.run.read_run import list_files, list_kept
from kit.run.record import FAILED, OPEN, record_document, record_of
from kit.run.run_store import RunStore, plain_relative
from kit.run.take_made import parts_here, take_made

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from kit.run.endpoint import Endpoint
    from kit.run.engine_port import Engine
    from kit.run.record import RunRecord

Request = dict[str, Any]
Result = dict[str, Any]


class Emit(Protocol):
    """Sends an event to whoever asked."""

    def __call__(self, event: dict[str, Any], /) -> None:
        """Send it."""


def _store(request: Request) -> RunStore:
    return RunStore(Path(request["root"]))


def survey(request: Request, engine: Engine, emit: Emit) -> Result:
    """Tell what a launch must know: shipped files that are missing, what earlier jobs made, runs going on."""
    store = _store(request)
    made = {job: usable_artifact(store, engine, job, emit) for job in request["made_by"]}
    return {
        "missing": [path for tree in request["trees"] for path in _missing(store.root, tree)],
        "made": {job: record_document(record) if record else None for job, record in made.items()},
        "runs": _seen(store, engine, request["job"], only_open=True),
    }


def _missing(root: Path, tree: dict[str, Any]) -> list[str]:
    folder = root / plain_relative(tree["folder"])
    return [
        f"{tree['folder']}/{file['path']}"
        for file in tree["files"]
        if not _is_whole(folder / plain_relative(file["path"]), file["size"])
    ]


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _seen(store: RunStore, engine: Engine, job: str | None, *, only_open: bool) -> list[Result]:
    found = []
    for record in store.records(job):
        if record.state == OPEN or not only_open:
            container = engine.state(record.compose_project) if record.state == OPEN else None
            seen = {"record": _without_files(record), "container": asdict(container) if container else None}
            found.append(seen)
    return found


def _without_files(record: RunRecord) -> Result:
    """Return a record's document; thousands of checkpoint files would drown a status."""
    document = record_document(record)
    if record.artifact:
        document["artifact"] = {"path": record.artifact.path, "files": []}
    document["artifact_bytes"] = record.artifact.size if record.artifact else None
    return document


def write_run(request: Request, engine: Engine, emit: Emit) -> Result:
    """Lay out a run's folder."""
    del engine, emit
    record = replace(record_of(request["record"], "write_run"), started=time.time())
    files = tuple(LaunchFile(file["path"], file["content"], file["mode"]) for file in request["files"])
    folder = _store(request).create(record, tuple(request["folders"]), files)
    return {"folder": str(folder)}


def runs(request: Request, engine: Engine, emit: Emit) -> Result:
    """List runs, newest first within a job, with their containers."""
    del emit
    found = _seen(_store(request), engine, request.get("job"), only_open=False)
    return {"runs": found}


def finish(request: Request, engine: Engine, emit: Emit) -> Result:
    """Record how a run ended; the last lines of a failed one come along."""
    store = _store(request)
    record = store.read(request["job"], request["run_id"])
    finished = finish_run(store, engine, record, emit, request.get("state", ""))
    logs = store.folder(record.job, record.run_id) / LOGS
    lines = read_last_lines(logs, logs / f"{record.host}.log") if finished.state == FAILED else ()
    return {"record": record_document(finished), "last_lines": list(lines)}


def read_run(request: Request, engine: Engine, emit: Emit) -> Result:
    """List the files of a job's newest run that `kit collect` brings home, each with size and digest."""
    store = _store(request)
    newest = next(store.records(request["job"]), None)
    if newest is None:
        return {"record": None, "files": []}
    if newest.state == OPEN:
        container = engine.state(newest.compose_project)
        if container is None or not container.running:
            newest = finish_run(store, engine, newest, emit)
    folder, kept = store.folder(newest.job, newest.run_id), store.kept(newest.job)
    return {
        "record": record_document(newest),
        "folder": str(folder),
        "files": [asdict(file) for file in list_files(folder, newest)],
        "kept_folder": str(kept),
        "kept": [asdict(file) for file in list_kept(kept)],
    }


def _running(request: Request, engine: Engine) -> RunRecord:
    for record in _store(request).records(request["job"]):
        if record.state == OPEN and record.endpoint_port is not None:
            container = engine.state(record.compose_project)
            if container is not None and container.running:
                return record
    raise JobError(f"{request['job']} does not run here", fix=f"kit up {request['job']}")


def _endpoint(record: RunRecord, request: Request) -> Endpoint:
    from kit.run.endpoint import Endpoint, reachable_address

    return Endpoint(
        address=reachable_address(record.endpoint_bind),
        port=record.endpoint_port or 0,
        model=record.served_name,
        api_key=request.get("api_key", ""),
        tls=record.endpoint_tls,
        certificate=request.get("certificate", ""),
    )


def probe(request: Request, engine: Engine, emit: Emit) -> Result:
    """Wait until a run's endpoint works."""
    from kit.run.probe import TRIES, container_runs, hear_greeting, wait_until_it_works

    record = _store(request).read(request["job"], request["run_id"])
    if record.kind == CHAT:
        attempt = partial(hear_greeting, engine, record.compose_project)
    else:
        attempt = partial(TRIES[record.kind], _endpoint(record, request))
    probed = wait_until_it_works(
        attempt,
        partial(container_runs, engine, record.compose_project),
        emit,
        timeout=float(request["timeout"]),
    )
    return asdict(probed)


def ask(request: Request, engine: Engine, emit: Emit) -> Result:
    """Put a question to a running serve job; the answer comes in events, and whole at the end."""
    from kit.run.endpoint import chat

    record = _running(request, engine)
    endpoint = _endpoint(record, request)
    answer = chat(endpoint, request["chat"], emit)
    return {**asdict(answer), "model": record.served_name, "run_id": record.run_id}


def made_here(request: Request, engine: Engine, emit: Emit) -> Result:
    """Tell how much of what a job made elsewhere is here already."""
    del engine
    return {"here": parts_here(_store(request), record_of(request["record"], "made_here"), emit)}


def take(request: Request, stdin: BinaryIO) -> Result:
    """Take in what a job made elsewhere."""
    record = record_of(request["record"], "take_made")
    taken = take_made(_store(request), record, str(request["host"]), request["here"], stdin)
    return {"run_id": taken.run_id}


def checkpoints(request: Request, engine: Engine, emit: Emit) -> Result:
    """List the checkpoints that a training's runs left here."""
    del engine, emit
    return {"runs": list_checkpoints(_store(request), request["job"])}


def hash_files(request: Request, engine: Engine, emit: Emit) -> Result:
    """Tell the digests of a checkpoint's files."""
    del engine, emit
    files = hash_checkpoint(_store(request), **_of(request, "job", "run_id", "step", "paths"))
    return {"files": [asdict(file) for file in files]}


def link(request: Request, engine: Engine, emit: Emit) -> Result:
    """Lay out, for a run that goes on from a checkpoint, those of its files that are here."""
    del engine, emit
    link_checkpoint(_store(request), **_of(request, "job", "run_id", "source", "step", "paths"))
    return {}


def take_files(request: Request, stdin: BinaryIO) -> Result:
    """Take in files of a checkpoint that other hosts have."""
    files = [File(file["path"], file["digest"], file["size"]) for file in request["files"]]
    take_checkpoint(_store(request), **_of(request, "job", "run_id", "step"), files=files, stdin=stdin)
    return {}


def _of(request: Request, *names: str) -> dict[str, Any]:
    return {name: request[name] for name in names}


WORK: Mapping[str, Callable[[Request, Engine, Emit], Result]] = {
    "checkpoints": checkpoints,
    "hash_checkpoint": hash_files,
    "link_checkpoint": link,
    "made_here": made_here,
    "survey": survey,
    "write_run": write_run,
    "runs": runs,
    "finish_run": finish,
    "read_run": read_run,
    "probe": probe,
    "ask": ask,
}

FED: Mapping[str, Callable[[Request, BinaryIO], Result]] = {"take_made": take, "take_checkpoint": take_files}
"""Verbs whose request is followed by bytes."""
