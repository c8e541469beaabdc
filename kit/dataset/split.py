"""Cutting a file into records to train on and records to evaluate with."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from kit.dataset.layout import look_at
from kit.dataset.records import read_records
from kit.dataset.write import ONCE, Writing, check_targets, written
from kit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from kit.progress import Progress


@dataclass(frozen=True, slots=True)
class Parts:
    """What was written."""

    source: Path
    train: Path
    train_records: int
    eval: Path
    eval_records: int
    seed: int
    dry_run: bool


def eval_count(share: str, records: int) -> int:
    """Return how many records `share` means: a fraction (`0.05`, `5%`) or a count (`200`).

    Raises ConfigError when it means nothing, or leaves no record to one of the two.
    """
    try:
        is_fraction = share.endswith("%") or "." in share
        value = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        count = round(records * value) if is_fraction else int(share)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{share!r} is neither a fraction nor a count", where="--eval", fix="--eval 0.05, 5% or 200"
        ) from error
    if not 0 < count < records:
        raise ConfigError(
            f"{count} of {records} records to evaluate with leaves one side empty",
            where="--eval",
            fix="--eval with a smaller or larger share",
        )
    return count


def choose(records: int, count: int, seed: int) -> frozenset[int]:
    """Return the numbers (from 0) of the records to evaluate with; the same everywhere for the same three."""
    key = b"%d" % seed
    return frozenset(
        heapq.nsmallest(
            count,
            range(records),
            key=lambda number: blake2b(b"%d" % number, key=key, digest_size=16).digest(),
        )
    )


def split(
    source: Path, folder: Path, share: str, seed: int, progress: Progress, writing: Writing = ONCE
) -> Parts:
    """Write a file's records into NAME.train and NAME.eval in a folder, each in the order of the file.

    Raises ConfigError when the share means nothing, or a target is there.
    """
    layout = look_at(source)
    names = tuple(folder / f"{source.stem}.{part}{source.suffix}" for part in ("train", "eval"))
    check_targets(names, source, writing)
    records = sum(1 for _ in read_records(layout))
    chosen = choose(records, eval_count(share, records), seed)
    task = f"split {source.name}"
    progress.start(task, layout.size)
    with written(names, writing) as (train, held_out):
        for number, (_, raw) in enumerate(read_records(layout)):
            (held_out if number in chosen else train).add(raw)
            progress.advance(task, len(raw) + 1)
    progress.finish(task)
    return Parts(source, names[0], train.records, names[1], held_out.records, seed, writing.dry_run)
