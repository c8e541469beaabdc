"""What runs inside the images for infer and eval, against a real server: order, patience, kills."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kit.data_files import data_folder

CODE = data_folder("templates") / "asking"
ROWS = 60


@dataclass
class Model:
    """A server that answers `echo: QUESTION`, and misbehaves as told."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Question → statuses that its first tries get."""
    seconds: float = 0.0
    names: tuple[str, ...] = ("m",)
    keys: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    """Whom each request asked, in the order in which they came."""
    most_at_once: int = 0
    port: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        question = body["messages"][-1]["content"]
        with self._lock:
            self.asked[question] += 1
            self.models.append(body["model"])
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            left = self.statuses.get(question, [])
            status = left.pop(0) if left else 200
        time.sleep(self.seconds)
        with self._lock:
            self._at_once -= 1
        if status != 200:
            return status, {"error": {"message": f"told to say {status}"}}
        message = {"content": f"echo: {question}", "reasoning_content": None}
        usage = {"prompt_tokens": 2, "completion_tokens": 3}
        return 200, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _send(self, status: int, document: dict[str, Any]) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": name} for name in found.names]})

        def do_POST(self) -> None:
            found.keys.append(self.headers.get("Authorization", ""))
            length = int(self.headers["Content-Length"])
            self._send(*found.answer(json.loads(self.rfile.read(length))))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()


def lay_out(folder: Path, model: Model, run: str, **more: Any) -> Path:
    """Write a run's folder as kit does."""
    data = folder / "rows.jsonl"
    if not data.exists():
        data.write_text(
            "".join(json.dumps({"instruction": f"q{n}", "output": f"a{n}"}) + "\n" for n in range(ROWS))
        )
    place = folder / "runs" / run
    (place / "out").mkdir(parents=True)
    (place / "secret").mkdir()
    dataset = {"file": str(data), "format": "alpaca", "columns": {}, "tags": {}, "ranking": False}
    settings: dict[str, Any] = {
        "run": run,
        "dataset": dataset,
        "system": None,
        "limit": None,
        "body": {"temperature": 0},
    }
    settings |= {"concurrency": 4, "retries": 2, "patience": 2}
    endpoint = {"name": "m", "url": f"http://127.0.0.1:{model.port}", "model": "m", "identity": "one"}
    endpoint |= {key: more.pop(key) for key in ("identity", "model", "url") if key in more}
    (place / "asking.json").write_text(json.dumps(settings | more))
    (place / "secret" / "keys.json").write_text(json.dumps([{"api_key": more.pop("api_key", "")}]))
    (place / "endpoints.json").write_text(json.dumps([endpoint]))
    return place


def start(place: Path) -> subprocess.Popen[str]:
    argv = (sys.executable, str(CODE / "answer_rows.py"), str(place), str(place.parent))
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def run(place: Path) -> tuple[int, str]:
    process = start(place)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def answers(place: Path) -> list[Any]:
    return [json.loads(line) for line in (place / "out" / "answers.jsonl").read_text().splitlines()]


def test_every_row_is_answered_once_and_stands_in_its_order(tmp_path: Path, model: Model) -> None:
    model.seconds = 0.01
    place = lay_out(tmp_path, model, "run1", api_key="key")
    assert run(place)[0] == 0
    found = answers(place)
    assert [row["row"] for row in found] == list(range(1, ROWS + 1))
    assert found[7] == {
        "row": 8,
        "messages": [{"role": "user", "content": "q7"}],
        "answer": "echo: q7",
        "finish_reason": "stop",
        "reference": "a7",
    }
    assert set(model.asked.values()) == {1}
    assert 1 < model.most_at_once <= 4
    assert set(model.keys) == {"Bearer key"}
    head, row = json.loads((place / "out" / "table.json").read_text())
    assert dict(zip(head, row, strict=True))["answer tokens"] == str(3 * ROWS)
    last = (place / "progress" / "steps.jsonl").read_text().splitlines()[-1]
    assert json.loads(last) == {"current_steps": ROWS, "total_steps": ROWS}


def killed_after(place: Path, count: int) -> int:
    """Start a run and kill it once it has that many answers; return how many it kept."""
    process = start(place)
    kept = place / "progress" / "answers.jsonl"
    while not kept.exists() or kept.read_bytes().count(b"\n") < count:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    return kept.read_bytes().count(b"\n")


def test_a_killed_run_is_gone_on_with_and_no_kept_answer_is_asked_for_again(
    tmp_path: Path, model: Model
) -> None:
    model.seconds = 0.02
    kept = killed_after(lay_out(tmp_path, model, "run1"), 20)
    first = Counter(model.asked)
    again = lay_out(tmp_path, model, "run2")
    status, said = run(again)
    assert status == 0
    assert f"{kept} of {ROWS} answers are taken over" in said
    # At most what was under way when it was killed is asked twice.
    assert sum(model.asked.values()) <= ROWS + 4
    assert sum((model.asked - first).values()) == ROWS - kept
    assert [row["answer"] for row in answers(again)] == [f"echo: q{n}" for n in range(ROWS)]


def test_an_answer_cut_off_in_its_line_is_asked_for_again(tmp_path: Path, model: Model) -> None:
    model.seconds = 0.02
    place = lay_out(tmp_path, model, "run1")
    killed_after(place, 10)
    kept = place / "progress" / "answers.jsonl"
    kept.write_bytes(kept.read_bytes()[:-9])
    again = lay_out(tmp_path, model, "run2")
    assert run(again)[0] == 0
    assert [row["answer"] for row in answers(again)] == [f"echo: q{n}" for n in range(ROWS)]


@pytest.mark.parametrize("change", [{"identity": "two"}, {"body": {"temperature": 1}}, {"system": "s"}])
def test_answers_of_another_model_or_to_another_question_are_not_taken_over(
    tmp_path: Path, model: Model, change: dict[str, Any]
) -> None:
    model.seconds = 0.02
    killed_after(lay_out(tmp_path, model, "run1"), 10)
    status, said = run(lay_out(tmp_path, model, "run2", **change))
    assert status == 0
    assert "taken over" not in said


def test_after_a_whole_run_the_next_one_begins_anew(tmp_path: Path, model: Model) -> None:
    killed_after(lay_out(tmp_path, model, "run1"), 5)
    assert run(lay_out(tmp_path, model, "run2"))[0] == 0
    model.asked.clear()
    assert run(lay_out(tmp_path, model, "run3"))[0] == 0
    assert sum(model.asked.values()) == ROWS


def test_a_busy_endpoint_is_waited_for_and_a_failing_answer_tried_again(tmp_path: Path, model: Model) -> None:
    model.statuses = {"q3": [503, 429], "q4": [500], "q5": [500, 500, 500], "q6": [400]}
    place = lay_out(tmp_path, model, "run1")
    status, said = run(place)
    assert status == 0
    found = answers(place)
    assert [found[n].get("error") for n in (3, 4)] == [None, None]
    assert found[5]["error"] == "status 500: told to say 500"
    assert found[6]["error"] == "status 400: told to say 400"
    assert model.asked["q6"] == 1
    assert "2 questions were refused" in said


def test_an_endpoint_that_is_gone_ends_the_run_after_a_while_with_its_reason(
    tmp_path: Path, model: Model
) -> None:
    status, said = run(lay_out(tmp_path, model, "run1", url="http://127.0.0.1:9"))
    assert status == 1
    assert "has not answered for" in said


def test_a_wrong_key_ends_the_run_at_once(tmp_path: Path, model: Model) -> None:
    model.statuses = {f"q{n}": [401] for n in range(ROWS)}
    status, said = run(lay_out(tmp_path, model, "run1"))
    assert (status, "refuses every question: status 401" in said) == (1, True)


def test_a_model_that_is_not_served_is_said_before_anything_is_asked(tmp_path: Path, model: Model) -> None:
    model.names = ("other", "third")
    status, said = run(lay_out(tmp_path, model, "run1"))
    assert (status, model.asked.total()) == (1, 0)
    assert "serves other, third, not m" in said


def test_a_run_of_refusals_alone_has_failed(tmp_path: Path, model: Model) -> None:
    model.statuses = {f"q{n}": [400] for n in range(ROWS)}
    status, said = run(lay_out(tmp_path, model, "run1"))
    assert (status, "every question was refused" in said) == (1, True)


def test_models_are_asked_one_after_the_other(tmp_path: Path, model: Model) -> None:
    place = lay_out(tmp_path, model, "run1")
    model.names, model.seconds = ("m", "n"), 0.01
    (one,) = json.loads((place / "endpoints.json").read_text())
    (place / "endpoints.json").write_text(json.dumps([one, {**one, "name": "n", "model": "n"}]))
    (place / "secret" / "keys.json").write_text(json.dumps([{}, {}]))
    assert run(place)[0] == 0
    assert model.models == ["m"] * ROWS + ["n"] * ROWS
