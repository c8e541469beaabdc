"""Leaving out records that say the same as an earlier one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from kit.dataset.read import Reader
from kit.dataset.write import ONCE, Writing, check_targets, written

if TYPE_CHECKING:
    from pathlib import Path

    from kit.dataset.check import Wanted
    from kit.dataset.turns import Talk
    from kit.progress import Progress


@dataclass(frozen=True, slots=True)
class Double:
    """A record that was left out."""

    line: int
    record: int
    same_as_line: int
    """Where the one stands that was kept."""


@dataclass(frozen=True, slots=True)
class Deduped:
    """What was written."""

    source: Path
    path: Path
    records: int
    """Of the source."""
    kept: int
    doubles: tuple[Double, ...]
    """Every record that was left out."""
    dry_run: bool


def normalised(text: str) -> str:
    """Return a text without what does not count: width and form of letters, case, white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def fingerprint(talk: Talk) -> bytes:
    """Return 16 bytes that two records share when they say the same, to the same roles."""
    found = blake2b(digest_size=16)
    said = (*talk.turns, ("", ""), *talk.answers, ("system", talk.system), ("tools", talk.tools))
    for role, text in (*said, ("good", f"{talk.good}")):
        part = f"{role}\0{normalised(text)}".encode()
        found.update(b"%d:" % len(part) + part)
    return found.digest()


def dedupe(source: Path, path: Path, wanted: Wanted, progress: Progress, writing: Writing = ONCE) -> Deduped:
    """Write a file's records into another, the first of each that say the same.

    Takes about 150 bytes of memory a record. Raises ConfigError for a record that is not right.
    """
    check_targets((path,), source, writing)
    reader = Reader(source, wanted)
    first: dict[bytes, int] = {}
    doubles: list[Double] = []
    with written((path,), writing) as (file,):
        for entry, talk in reader.good_entries(progress, f"dedupe {source.name}"):
            line = first.setdefault(fingerprint(talk), entry.line)
            # In an array several records may begin on one line, but the first of its kind is added once.
            if len(first) == file.records:
                doubles.append(Double(entry.line, entry.number, line))
            else:
                file.add(entry.raw)
    return Deduped(source, path, file.records + len(doubles), file.records, tuple(doubles), writing.dry_run)
