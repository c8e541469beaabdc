"""Rows of task suites: lm-eval measures base and adapter at one endpoint, with questions that are shipped."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.trainings import training

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.scene import Scene

QUIZ, LEARNT = "quiz", "quiz-solved"
"""Twenty questions of two subjects with a solved one each, in CMMLU's columns; the same as prompts with the
right letter, to be trained on."""
COLUMNS = {"question": "Question", "answer": "Answer", "subject": "Subject"}
_ONE = {"hosts": ["gpu1"]}
_SERVE = {
    "kind": "serve",
    "model": "tiny",
    "dtype": "float32",
    "max_model_len": 512,
    "args": {"enforce_eager": True},
    **_ONE,
}
_EVAL = {"kind": "eval", "through": "row-serve", "suites": [QUIZ], "shots": 1, "concurrency": 2}


def quiz() -> list[dict[str, str]]:
    """Return the rows of the suite."""
    rows = []
    for subject, sign in (("sums", "+"), ("products", "*")):
        for number in range(11):
            left, right = number + 2, number % 4 + 3
            value, place = (left + right if sign == "+" else left * right), (number * 7 + len(subject)) % 4
            choices = {letter: str(value + other - place) for other, letter in enumerate("ABCD")}
            asked = f"{left} {sign} {right} = ?"
            rows.append({"Subject": subject, "Question": asked, **choices, "Answer": "ABCD"[place]})
    return rows


def write_suites(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the files into a folder `data` beside kit.yaml; return the entries of `datasets`."""
    sys.path.insert(0, str(data_folder("templates") / "lm-eval"))
    try:
        from prepare_suites import asked_of  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    suite, solved = folder / "data" / f"{QUIZ}.csv", folder / "data" / f"{LEARNT}.json"
    suite.parent.mkdir(parents=True, exist_ok=True)
    with suite.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(quiz()[0]))
        writer.writeheader()
        writer.writerows(quiz())
    texts = [
        {"text": f"{one.prompt(1)} {one.question.letters[one.question.gold]}"}
        for one in asked_of(suite, COLUMNS, 1, None)
    ]
    solved.write_text(json.dumps(texts, indent=1), encoding="utf-8")
    return {
        QUIZ: {"path": f"data/{QUIZ}.csv", "format": "choices", "columns": COLUMNS},
        LEARNT: {"path": f"data/{LEARNT}.json", "format": "alpaca", "columns": {"prompt": "text"}},
    }


def _suites(scene: Scene) -> str:
    """Train on the solved questions, serve the adapter beside its model, and measure both."""
    learns = {
        "stage": "pt",
        "max_steps": 150,
        "learning_rate": 1.0e-2,
        "lora_rank": 32,
        "per_device_train_batch_size": 4,
        "cutoff_len": 512,
        "packing": False,
    }
    train = {**training("pt", "lora", learns, **_ONE), "datasets": [LEARNT], "port": scene.port}
    serve = {**_SERVE, "adapters": ["row-train"], "port": scene.port + 31}
    definition = scene.define({"row-train": train, "row-serve": serve, "row-suites": _EVAL})
    scene.kit("up", "row-train", definition=definition)
    try:
        scene.kit("up", "row-serve", definition=definition)
        scene.kit("up", "row-suites", "--detach", definition=definition)
        kept = _kill_on_the_way(scene)
        result = scene.kit("up", "row-suites", definition=definition)
    finally:
        scene.kit("down", "row-serve", definition=definition)
    head, *lines = result["table"]
    assert head == ["suite", "subject", "questions", "tiny", "row-train"], result["table"]
    assert [line[:3] for line in lines] == [
        [QUIZ, "all", "20"],
        [QUIZ, "mean of 2 subjects", "20"],
        [QUIZ, "sums", "10"],
        [QUIZ, "products", "10"],
    ], lines
    return _held_against(scene, lines, kept)


def _kill_on_the_way(scene: Scene) -> int:
    """Kill the container on its host once the first model has answered; return how many answers are kept."""
    path = f"{scene.run_folder('row-suites')}/progress/answers.jsonl"
    kill = "docker kill $(docker ps -q --filter label=kit.job=row-suites)"
    wait = f"while [ $(cat {path} 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.05; done"
    scene.lab.exec("gpu1", ("sh", "-c", f"timeout 60 sh -c '{wait}'; {kill}"))
    kept = int(scene.lab.exec("gpu1", ("sh", "-c", f"cat {path} | wc -l")))
    assert 3 <= kept < 40, kept
    return kept


def _held_against(scene: Scene, lines: list[list[str]], kept: int) -> str:
    folder = f"{scene.run_folder('row-suites')}/out"
    scores = json.loads(scene.read("gpu1", f"{folder}/scores.json"))
    before, after = (scores["models"][model][QUIZ]["acc"] for model in ("tiny", "row-train"))
    assert scores["taken_over"] == kept, (scores, kept)
    # The adapter has seen every one of them with its letter; guessing gets a quarter.
    assert before < 60 <= after, scores
    answers = [json.loads(line) for line in scene.read("gpu1", f"{folder}/answers.jsonl").splitlines()]
    right = [answer["picked"]["row-train"] == answer["answer"] for answer in answers]
    assert (len(right), 100 * sum(right) / len(right)) == (20, after), answers
    assert "| suite | subject | questions | tiny | row-train |" in scene.read("gpu1", f"{folder}/report.md")
    return (
        f"20 questions of 2 subjects, 1 shot, lm-eval {scores['lm_eval']}: acc {lines[0][3]} → {lines[0][4]}"
        f"; killed after {kept} of 40 answers, and gone on with"
    )


_ASKED: dict[str, Any] = {"row-serve": _SERVE}
_THROUGH_API: dict[str, Any] = {"row-serve": {"kind": "api", "model": "tiny", "template": "chatml", **_ONE}}
_THROUGH_SGLANG: dict[str, Any] = {
    "row-serve": {"kind": "serve", "engine": "sglang", "model": "tiny", **_ONE}
}
ROWS = (
    Row("eval", "task suites, base and adapter side by side, gone on with after a kill", RAN, _suites),
    refused(
        "eval",
        "a suite that is no questions with choices",
        {**_EVAL, "suites": ["sums"]},
        says="no choices",
        **_ASKED,
    ),
    refused(
        "eval",
        "suites through LLaMA-Factory's own endpoint",
        _EVAL,
        says="held to the letters",
        **_THROUGH_API,
    ),
    refused("eval", "suites through SGLang", _EVAL, stack="cu126", says="through vLLM", **_THROUGH_SGLANG),
    refused(
        "eval",
        "a task that would have to be fetched",
        {**_EVAL, "tasks": ["mmlu"]},
        says="nothing is fetched",
        **_ASKED,
    ),
)
