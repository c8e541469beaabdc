"""Answers as they come, so that a run that was cut off is gone on with. With Python's own library alone."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRESS = "progress"
_ANSWERS = "answers.jsonl"
_STEPS = "steps.jsonl"
_SECONDS_BETWEEN_STEPS = 1.0
_SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """Write a line to the container's log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_whole(path: Path, text: Iterator[str]) -> None:
    """Write a file, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(text)
    draft.replace(path)


def asked_key(identity: str, model: str, asked: Any) -> str:
    """Return what makes a question the same one: the model, the prompt, and how it is asked."""
    text = json.dumps([identity, model, asked], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unfinished(earlier: Path, own: Path) -> Iterator[Path]:
    """Yield the answers of runs that did not get to their end, newest first."""
    for folder in sorted(earlier.iterdir(), reverse=True) if earlier.is_dir() else ():
        if folder.is_symlink() or folder.name.startswith("."):
            continue
        if (folder / "out" / "table.json").is_file():
            return
        path = folder / PROGRESS / _ANSWERS
        if path.is_file() and not path.samefile(own):
            yield path


class Kept:
    """The answers of this run and of those that were cut off, by what was asked."""

    def __init__(self, run: Path, earlier: Path, total: int) -> None:
        self._folder = run / PROGRESS
        self._path = self._folder / _ANSWERS
        self._total = total
        self._file = self._path.open("a", encoding="utf-8")
        self._earlier = {
            key: answer for path in _unfinished(earlier, self._path) for key, answer in _read(path)
        }
        self._done = 0
        self.taken_over = 0
        """How many answers are those of an earlier run."""
        self._told = self._said = time.monotonic()

    def get(self, key: str) -> str | None:
        """Return an answer that an earlier run got."""
        return self._earlier.get(key)

    def add(self, key: str, answer: str) -> None:
        """Keep an answer, and say how far it is."""
        self._file.write(json.dumps({"asked": key, "answer": answer}) + "\n")
        self._file.flush()
        self._done += 1
        self._tell()

    def remove(self) -> None:
        """Remove the file, once all of it is in the results."""
        self._file.close()
        self._path.unlink()

    def _tell(self) -> None:
        now, last = time.monotonic(), self._done == self._total
        if not last and now - self._told < _SECONDS_BETWEEN_STEPS:
            return
        self._told = now
        with (self._folder / _STEPS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"current_steps": self._done, "total_steps": self._total}) + "\n")
        if last or now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            say(f"{self._done} of {self._total} answers")


def _read(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        for line in file:
            # A line that a kill cut off is no answer.
            if line.endswith(b"\n"):
                found = json.loads(line)
                yield found["asked"], found["answer"]
