"""The demo's path, step by step, through kit's own command line, as a user types it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.lab import Lab, environment, online_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPOSITORY = Path(__file__).resolve().parents[2]


class StepFailedError(RuntimeError):
    """A command of the path ended with another status than 0."""


@dataclass(frozen=True)
class Step:
    """One command that ran."""

    command: str
    seconds: float
    result: dict[str, Any]


@dataclass
class Journey:
    """A copy of bundles/demo in a folder of its own, and the commands run on it."""

    folder: Path
    lab: Lab
    environment: dict[str, str]
    steps: list[Step] = field(default_factory=list)

    def prepare(self) -> None:
        """Lay out the definition anew and make the base model on the spot."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(REPOSITORY / "bundles" / "demo", self.folder, dirs_exist_ok=True)
        make_model = [sys.executable, str(self.folder / "make_model.py"), str(self.folder / "model")]
        subprocess.run(make_model, check=True)
        definition = self.folder / "kit.yaml"
        text = definition.read_text(encoding="utf-8")
        for host in self.lab.names:
            text = re.sub(rf"({host}: {{address: )[0-9.]+", rf"\g<1>{self.lab.address(host)}", text)
        definition.write_text(text, encoding="utf-8")

    def kit(self, *words: str, definition: str = "kit.yaml") -> dict[str, Any]:
        """Run one kit command; its progress goes to the terminal, its JSON result comes back."""
        command = "kit " + " ".join(words)
        print(f"\n$ {command}", file=sys.stderr, flush=True)
        started = time.monotonic()
        done = self._run(words, definition)
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise StepFailedError(f"{command}: exit {done.returncode}: {done.stdout.decode()}")
        result: dict[str, Any] = json.loads(done.stdout)
        self.steps.append(Step(command, seconds, result))
        return result

    def refused(self, *words: str, definition: str = "kit.yaml", **environment: str) -> tuple[int, str]:
        """Run a command that must fail; return its exit code and all that it said."""
        done = self._run(words, definition, environment)
        assert done.returncode != 0, f"kit {' '.join(words)} succeeded"
        said = json.loads(done.stdout)
        if "error" in said:
            assert said["error"]["exit_code"] == done.returncode
        return done.returncode, json.dumps(said, ensure_ascii=False)

    def _run(
        self,
        words: tuple[str, ...],
        definition: str = "kit.yaml",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-m", "kit", *words, "--json", "-f", str(self.folder / definition)]
        chosen = {**self.environment, **(environment or {})}
        return subprocess.run(argv, stdout=subprocess.PIPE, env=chosen, check=False)

    def variant(self, name: str, change: Callable[[dict[str, Any]], None]) -> str:
        """Write a changed copy of kit.yaml beside it; return its file name."""
        document = yaml.safe_load((self.folder / "kit.yaml").read_text(encoding="utf-8"))
        change(document)
        (self.folder / name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        return name

    def ask_all(self, job: str) -> list[tuple[str, str, str]]:
        """Ask the six questions at temperature 0; return (question, expected, answer) rows."""
        pairs = json.loads((self.folder / "data" / "questions.json").read_text(encoding="utf-8"))
        return [
            (pair["instruction"], pair["output"], self.kit("ask", job, pair["instruction"])["answer"])
            for pair in pairs
        ]


@contextmanager
def demo_journey(folder: Path = REPOSITORY / "build" / "demo") -> Iterator[Journey]:
    """Raise the lab and an engine for the online machine; yield a journey; stop both afterwards.

    Raises LabUnavailableError where this machine cannot hold a lab.
    """
    lab = Lab.up()
    try:
        yield Journey(folder, lab, environment(lab, online_engine()))
    finally:
        lab.down()


def right_answers(rows: list[tuple[str, str, str]]) -> int:
    """Count the answers that are word for word what was expected."""
    return sum(expected == answer.strip() for _, expected, answer in rows)
