"""A run's record: what was launched, how it ended, and what it made. `run.json` in the run's folder.

Each host of a run keeps a record of its own share; the one of rank zero also names the artifact.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from kit.bundle.manifest import File
from kit.errors import VerificationError
from kit.jobs.launch import AdapterShape

FORMAT = 1

OPEN = "open"
"""Started, and its end not yet recorded: it runs, or it ended while nobody looked."""
DONE = "done"
FAILED = "failed"
STOPPED = "stopped"
LOST = "lost"
"""Its container went away without `kit down`, and took its exit code along."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a run made: files that the next job may use, and that `kit collect` brings home."""

    path: str
    """Folder of the files, relative to the run's folder."""
    files: tuple[File, ...]
    """Paths are relative to `path`."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Training:
    """What a training says about itself (LLaMA-Factory's trainer_log.jsonl and all_results.json)."""

    first_loss: float | None
    last_loss: float | None
    steps: int | None
    metrics: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One host's share of a run."""

    job: str
    kind: str
    run_id: str
    host: str
    hosts: tuple[str, ...]
    rank_zero: str
    compose_project: str
    service: str
    image_tag: str
    launch_digest: str
    """sha256 of the launch without its run id: equal launches have equal digests."""
    started: float = 0.0
    """Seconds since the epoch by the host's clock; its folder is laid out then."""
    state: str = OPEN
    finished: float | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    endpoint_port: int | None = None
    endpoint_bind: str = "127.0.0.1"
    endpoint_tls: bool = False
    """It speaks HTTPS."""
    served_name: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    """(job, folder) of what earlier jobs made and this run used."""
    artifact: Artifact | None = None
    training: Training | None = None
    table: tuple[tuple[str, ...], ...] = ()
    """What an infer or eval job found, to show; its first row names the columns."""
    carried_from: str = ""
    """The host that made the artifact, where it was brought from another one."""
    adapter: AdapterShape | None = None
    """What the artifact says of itself when it is a LoRA adapter."""


def dump_record(record: RunRecord) -> bytes:
    """Return the bytes of run.json."""
    document = {"kit_run": FORMAT, **asdict(record)}
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def _artifact(value: Any) -> Artifact | None:
    if value is None:
        return None
    files = tuple(File(item["path"], item["digest"], item["size"]) for item in value["files"])
    return Artifact(value["path"], files)


def _training(value: Any) -> Training | None:
    if value is None:
        return None
    metrics = tuple((str(key), float(number)) for key, number in value["metrics"])
    return Training(value["first_loss"], value["last_loss"], value["steps"], metrics)


def record_of(document: dict[str, Any], where: str) -> RunRecord:
    """Return the record in parsed JSON. Raises VerificationError when it is not one."""
    try:
        fields = dict(document)
        if fields.pop("kit_run") != FORMAT:
            raise VerificationError("a record that another version of kit wrote", where=where)
        fields["hosts"] = tuple(fields["hosts"])
        fields["inputs"] = tuple((name, folder) for name, folder in fields["inputs"])
        fields["artifact"] = _artifact(fields["artifact"])
        fields["training"] = _training(fields["training"])
        fields["adapter"] = AdapterShape(**fields["adapter"]) if fields.get("adapter") else None
        fields["table"] = tuple(tuple(map(str, row)) for row in fields.get("table", ()))
        return RunRecord(**fields)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise VerificationError("not a run's record", where=where, why=str(error)) from error


def parse_record(data: bytes, where: str) -> RunRecord:
    """Return the record that bytes describe. Raises VerificationError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationError("not JSON", where=where, why=str(error)) from error
    return record_of(document, where)


def record_document(record: RunRecord) -> dict[str, Any]:
    """Return the record as JSON's own types; `record_of` is its inverse."""
    document: dict[str, Any] = json.loads(dump_record(record))
    return document
