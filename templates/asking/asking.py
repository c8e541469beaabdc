"""Every row of a dataset put to one or more endpoints, several at once, each answer written as it comes.

Runs inside an image, with Python's own library alone. Answers are appended to progress/answers.jsonl in the
run's folder. A run that was cut off is gone on with by the next one of the same job: what the same
model was asked in the same words is taken over and not asked again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from endpoint import BrokenError, Endpoint, HopelessError, LaterError, Line, RefusedError
from rows import Row, WrongRowError, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRESS = "progress"
ANSWERS = "answers.jsonl"
STEPS = "steps.jsonl"
_SECONDS_BETWEEN_STEPS = 1.0
_SECONDS_BETWEEN_LINES = 10.0
_LONGEST_WAIT = 15.0


class StoppedError(Exception):
    """Nothing more can be asked; why, for people."""


def say(text: str) -> None:
    """Write a line to the container's log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def asked_key(endpoint: Endpoint, body: dict[str, Any], row: Row) -> str:
    """Return what makes a question the same one: the model, how it answers, and the words."""
    parts = [endpoint.identity, endpoint.model, {**body, **endpoint.body}, row.messages]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


class Kept:
    """The answers in progress/answers.jsonl: where each stands, by row and column."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / ANSWERS
        self._places: dict[tuple[int, str], int] = {}
        self._lock = threading.Lock()
        self._file = self._path.open("ab")

    def add(self, answer: dict[str, Any]) -> None:
        """Append an answer, whole."""
        line = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._places[answer["row"], answer["name"]] = self._file.tell()
            self._file.write(line)
            self._file.flush()

    def remove(self) -> None:
        """Remove the file, once all of it is in the results."""
        self._file.close()
        self._path.unlink()

    def __contains__(self, key: tuple[int, str]) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, number: int, name: str) -> dict[str, Any]:
        """Return the answer to a row in a column."""
        with self._path.open("rb") as file:
            file.seek(self._places[number, name])
            found: dict[str, Any] = json.loads(file.readline())
            return found


def answers_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole answers in a file; a line that a kill cut off is none."""
    with path.open("rb") as file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and "error" not in found:
                yield found


def unfinished(earlier: Path, own: str) -> Iterator[Path]:
    """Yield the answers of runs that did not get to their end, newest first."""
    for folder in sorted(earlier.iterdir(), reverse=True) if earlier.is_dir() else ():
        if folder.is_symlink() or folder.name == own or folder.name.startswith("."):
            continue
        # The newest run that ended whole is where going on would begin anew.
        if (folder / "out" / ANSWERS).is_file():
            return
        if (folder / PROGRESS / ANSWERS).is_file():
            yield folder / PROGRESS / ANSWERS


class Asking:
    """The work of one run."""

    def __init__(self, run: Path, earlier: Path) -> None:
        settings = json.loads((run / "asking.json").read_text(encoding="utf-8"))
        told = json.loads((run / "endpoints.json").read_text(encoding="utf-8"))
        keys = json.loads((run / "secret" / "keys.json").read_text(encoding="utf-8"))
        self.endpoints = tuple(Endpoint(**one, **opens) for one, opens in zip(told, keys, strict=True))
        self.settings = settings
        self.kept = Kept(run / PROGRESS)
        self.taken_over = 0
        self.refused = 0
        self.first_refusal = ""
        self.tokens = [0, 0]
        self.total = 0
        self._run = run
        self._earlier = earlier
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._last_answer = self._told = self._said = time.monotonic()
        self._work: Iterator[tuple[Row, Endpoint]] = iter(())

    def rows(self) -> Iterator[Row]:
        """Yield the dataset's rows."""
        return read_rows(self.settings["dataset"], self.settings["system"], self.settings["limit"])

    def ask_all(self) -> None:
        """Ask every row of every endpoint what was not answered yet. Raises StoppedError."""
        self._check_models()
        self.total = sum(1 for _ in self.rows()) * len(self.endpoints)
        self._take_over()
        for endpoint in self.endpoints:
            # One model after the other: vLLM 0.31.0 on CPUs lets an adapter have a say in the answers of its
            # base when requests for both are in one batch.
            self._ask_one(endpoint)
        self._tell(force=True)
        if self._failure is not None:
            raise StoppedError(str(self._failure)) from self._failure

    def _ask_one(self, endpoint: Endpoint) -> None:
        self._work = ((row, endpoint) for row in self.rows())
        threads = [threading.Thread(target=self._work_on) for _ in range(self.settings["concurrency"])]
        self._last_answer = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _check_models(self) -> None:
        for endpoint in self.endpoints:
            names = self._patiently(Line(endpoint).models)
            if endpoint.model not in names:
                raise StoppedError(f"{endpoint.url} serves {', '.join(names)}, not {endpoint.model}")

    def _take_over(self) -> None:
        wanted = {
            (row.number, endpoint.name): asked_key(endpoint, self.settings["body"], row)
            for row in self.rows()
            for endpoint in self.endpoints
        }
        for path in unfinished(self._earlier, self.settings["run"]):
            for answer in answers_of(path):
                key = (int(answer.get("row", 0)), str(answer.get("name")))
                if key not in self.kept and wanted.get(key) == answer.get("asked"):
                    self._keep(answer)
                    self.taken_over += 1
        if self.taken_over:
            say(f"{self.taken_over} of {self.total} answers are taken over from a run that was cut off")

    def _next(self) -> tuple[Row, Endpoint] | None:
        with self._lock:
            for row, endpoint in self._work:
                if (row.number, endpoint.name) not in self.kept:
                    return row, endpoint
            return None

    def _work_on(self) -> None:
        lines: dict[str, Line] = {}
        try:
            while self._failure is None and (task := self._next()) is not None:
                row, endpoint = task
                line = lines.setdefault(endpoint.name, Line(endpoint))
                answer = self._answer(line, row)
                asked = asked_key(endpoint, self.settings["body"], row)
                self._keep({"row": row.number, "name": endpoint.name, "asked": asked, **answer})
                self._tell()
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            self._failure = self._failure or error
        finally:
            for line in lines.values():
                line.close()

    def _answer(self, line: Line, row: Row) -> dict[str, Any]:
        body = {**self.settings["body"], "messages": list(row.messages)}
        for attempt in range(self.settings["retries"]):
            answer = self._try(line, body)
            if answer is not None:
                return answer
            time.sleep(min(2.0**attempt, _LONGEST_WAIT))
        return self._try(line, body, last=True) or {}

    def _try(self, line: Line, body: dict[str, Any], *, last: bool = False) -> dict[str, Any] | None:
        """Return the answer, or the reason why there is none; None where another try may help."""
        try:
            answer: dict[str, Any] = self._patiently(lambda: line.ask(body))
        except RefusedError as error:
            return {"error": str(error)}
        except BrokenError as error:
            return {"error": str(error)} if last else None
        return answer

    def _patiently(self, attempt: Callable[[], Any]) -> Any:
        """Return what an attempt returns, tried again while the endpoint does not answer, up to a limit."""
        wait = 0.25
        while (found := self._once(attempt)) is None:
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        self._last_answer = time.monotonic()
        return found

    def _once(self, attempt: Callable[[], Any]) -> Any:
        try:
            return attempt()
        except LaterError as error:
            silent = time.monotonic() - self._last_answer
            if self._failure is not None or silent > self.settings["patience"]:
                raise StoppedError(f"the endpoint has not answered for {silent:.0f} s: {error}") from error
            return None
        except HopelessError as error:
            raise StoppedError(f"the endpoint refuses every question: {error}") from error

    def _keep(self, answer: dict[str, Any]) -> None:
        self.kept.add(answer)
        with self._lock:
            if "error" in answer:
                self.refused += 1
                self.first_refusal = self.first_refusal or f"row {answer['row']}: {answer['error']}"
            for place, count in enumerate(answer.get("tokens", ())):
                self.tokens[place] += count

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        with self._lock:
            if not force and now - self._told < _SECONDS_BETWEEN_STEPS:
                return
            self._told = now
            step = {"current_steps": len(self.kept), "total_steps": self.total}
            with (self._run / PROGRESS / STEPS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(step) + "\n")
            if force or now - self._said >= _SECONDS_BETWEEN_LINES:
                self._said = now
                say(f"{len(self.kept)} of {self.total} answers")


def asked(run: Path, earlier: Path) -> Asking | None:
    """Ask everything; return what came of it, or None where it was stopped, which the log tells."""
    asking = Asking(run, earlier)
    try:
        asking.ask_all()
    except (StoppedError, WrongRowError, OSError, ValueError) as error:
        say(f"stopped after {len(asking.kept)} answers: {error}")
        return None
    return asking


def write_whole(path: Path, text: Iterator[str]) -> None:
    """Write a file, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(text)
    draft.replace(path)


def json_line(document: Any) -> str:
    """Return a document as one line."""
    return json.dumps(document, ensure_ascii=False) + "\n"
