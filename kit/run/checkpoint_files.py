"""Checkpoints of trainings on this host: which there are, what of them is whole, and laying one out.

A checkpoint lies in `out/checkpoint-STEP` of its run's folder, and each host holds what its own ranks
wrote. A training that goes on from one gets it in `resume/checkpoint-STEP` of its own run: links to what is
here, and copies of what other hosts had. What a killed process left half written is told by the files' own
forms: safetensors say how long they are (their header), PyTorch's are zip archives with a list at the end.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.digest import sha256_of_file
from kit.bundle.manifest import File
from kit.errors import KitError
from kit.jobs.compose import FILE as COMPOSE
from kit.jobs.deepspeed import FILE as DEEPSPEED
from kit.run.run_store import plain_relative
from kit.run.take_made import take_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.run.record import RunRecord
    from kit.run.run_store import RunStore

RESUME = "resume"
"""Folder of a run that holds the checkpoint from which it goes on."""
_CHECKPOINT = re.compile(r"^checkpoint-(\d+)$")
_HEADER_LIMIT = 100 << 20
_JSON_LIMIT = 64 << 20


def checkpoint_name(step: int) -> str:
    """Return the name of a checkpoint's folder."""
    return f"checkpoint-{int(step)}"


def list_checkpoints(store: RunStore, job: str) -> list[dict[str, Any]]:
    """Return the runs of a job that left checkpoints here, newest first, with every file of these."""
    found = []
    for record in store.records(job):
        folder = store.folder(job, record.run_id)
        steps = [_described(path, step) for step, path in _checkpoints(folder / "out")]
        if steps:
            found.append({**_launch_facts(folder, record), "checkpoints": steps})
    return found


def _checkpoints(out: Path) -> Iterator[tuple[int, Path]]:
    names = [entry.name for entry in os.scandir(out)] if out.is_dir() else []
    steps = sorted((int(match[1]) for match in map(_CHECKPOINT.match, names) if match), reverse=True)
    for step in steps:
        path = out / checkpoint_name(step)
        if path.is_dir() and not path.is_symlink():
            yield step, path


def _launch_facts(folder: Path, record: RunRecord) -> dict[str, Any]:
    """Return how many ranks a run had and its ZeRO stage, as the files say that it was launched with."""
    import yaml

    ranks, stage = None, None
    compose = folder / COMPOSE
    if compose.is_file():
        services = yaml.safe_load(compose.read_text(encoding="utf-8"))["services"]
        variables = next(iter(services.values())).get("environment", {})
        ranks = int(variables.get("NNODES", 0)) * int(variables.get("NPROC_PER_NODE", 0)) or None
    if (folder / DEEPSPEED).is_file():
        stage = json.loads((folder / DEEPSPEED).read_text(encoding="utf-8"))["zero_optimization"]["stage"]
    return {"run_id": record.run_id, "ranks": ranks, "zero": stage}


def _described(folder: Path, step: int) -> dict[str, Any]:
    files = [
        {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "whole": is_whole(path)}
        for path in _plain_files(folder)
    ]
    return {"step": step, "files": files, "base": _base(folder / "adapter_config.json")}


def _plain_files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _plain_files(folder / entry.name)
        elif entry.is_file(follow_symlinks=False):
            yield folder / entry.name


def _base(config: Path) -> str:
    """Return the folder of an adapter's model, as the training's container saw it; empty for no adapter."""
    try:
        return str(json.loads(config.read_bytes())["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_whole(path: Path) -> bool:
    """Return whether a checkpoint's file was written to its end, as far as its form tells."""
    try:
        if path.suffix == ".safetensors":
            return _is_whole_safetensors(path)
        if path.suffix in (".pt", ".pth", ".bin"):
            return zipfile.is_zipfile(path)
        if path.suffix == ".json" and path.stat().st_size <= _JSON_LIMIT:
            json.loads(path.read_bytes())
        return path.stat().st_size > 0
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_whole_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _HEADER_LIMIT:  # noqa: PLR2004 - an empty mapping
            return False
        header = json.loads(file.read(length))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return bool(path.stat().st_size == 8 + length + max(ends, default=0))


def hash_checkpoint(store: RunStore, job: str, run_id: str, step: int, paths: list[str]) -> list[File]:
    """Return these files of a checkpoint with their digests. Raises VerificationError for no plain path."""
    folder = store.folder(job, run_id) / "out" / checkpoint_name(step)
    found = []
    for path in paths:
        blob = sha256_of_file(folder / plain_relative(path))
        found.append(File(path, blob.digest, blob.size))
    return found


def link_checkpoint(store: RunStore, job: str, run_id: str, source: str, step: int, paths: list[str]) -> None:
    """Link files of the checkpoint of the run `source` into the run `run_id`, whose folder is there.

    Raises UnfitError or TransferError when the disk fails, KitError when a file has gone.
    """
    from_folder = store.folder(job, source) / "out" / checkpoint_name(step)
    into = resume_folder(store, job, run_id, step)
    with writing(into):
        into.mkdir(parents=True, exist_ok=True)
        for path in paths:
            there, here = from_folder / plain_relative(path), into / path
            if not there.is_file():
                raise KitError(f"{path} of {checkpoint_name(step)} has gone", where=str(there))
            here.parent.mkdir(parents=True, exist_ok=True)
            os.link(there, here, follow_symlinks=False)
        sync_folder(into)


def take_checkpoint(
    store: RunStore, job: str, run_id: str, step: int, files: list[File], stdin: BinaryIO
) -> None:
    """Take files of a checkpoint from `stdin`, one after the other, each proven by its digest.

    Raises VerificationError for other bytes, TransferError when they end early, UnfitError without room.
    """
    into = resume_folder(store, job, run_id, step)
    with writing(into):
        for file in files:
            take_file(into / plain_relative(file.path), file, 0, stdin)
        sync_folder(into)


def resume_folder(store: RunStore, job: str, run_id: str, step: int) -> Path:
    """Return where a run has the checkpoint from which it goes on."""
    return store.folder(job, run_id) / RESUME / checkpoint_name(step)
