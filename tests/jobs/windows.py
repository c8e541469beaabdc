"""Rows of what people look at: LLaMA Board in a browser, LLaMA-Factory's own endpoint."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from tests.e2e.open_window import kit_open, look_at_board
from tests.e2e.terminal import Terminal
from tests.jobs.on_gpus import rendered
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.trainings import training

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

ONE = {"hosts": ["gpu1"]}
BOARD = {"kind": "board", "models": ["tiny"], "datasets": ["questions"], **ONE}
API = {"kind": "api", **ONE}
CHAT = {
    "kind": "chat",
    "model": "tiny",
    "template": "chatml",
    "args": {"max_new_tokens": 16, "do_sample": False},
    **ONE,
}


def _board(scene: Scene) -> str:
    definition = scene.define({"board": {**BOARD, "port": scene.port + 60}})
    up = scene.kit("up", "board", definition=definition)
    assert up["state"] == "running", up
    try:
        with kit_open(scene.journey, "board", definition) as opened:
            seen = look_at_board(opened["url"], scene.journey.folder)
    finally:
        scene.kit("down", "board", definition=definition)
    assert seen["title"].startswith("LLaMA Factory"), seen
    assert seen["model"] == "/kit/models/tiny", seen
    assert seen["datasets"] == ["questions"], seen
    assert seen["outside"] == [], seen
    assert "default-src 'self'" in seen["policy"], seen
    return f"{seen['title']}: model and dataset filled in; the page asked nobody outside"


def _answers(scene: Scene, jobs: dict[str, Any]) -> dict[str, Any]:
    definition = scene.define({**jobs, "api": {**jobs["api"], "port": scene.port + 61}})
    scene.kit("up", "api", definition=definition)
    try:
        with kit_open(scene.journey, "api", definition) as opened:
            assert opened["served_name"] == "notes", opened
        asked = scene.kit("ask", "api", "What does kit carry?", "--max-tokens", "8", definition=definition)
    finally:
        scene.kit("down", "api", definition=definition)
    assert asked["model"] == "notes", asked
    return asked


def _api_with_adapter(scene: Scene) -> str:
    jobs = {"row-train": {**training("sft", "lora", **ONE, datasets=["questions"]), "port": scene.port}}
    scene.kit("up", "row-train", definition=scene.define(jobs))
    asked = _answers(scene, {**jobs, "api": {**API, "from": "row-train", "served_name": "notes"}})
    log = scene.lab.exec("gpu1", ("sh", "-c", f"cat {scene.run_folder('api')}/logs/*"))
    assert "Loaded adapter(s): /kit/adapters/row-train" in log, log[-1000:]
    return f"an answer of LLaMA-Factory's endpoint with the adapter, in {asked['seconds']:.1f} s"


def _api_of_a_model(scene: Scene) -> str:
    api = {**API, "model": "tiny", "template": "chatml", "served_name": "notes", "env": {"API_KEY": "k-1"}}
    asked = _answers(scene, {"api": api})
    return f"an answer for the key in `env`, in {asked['seconds']:.1f} s"


def _chat(scene: Scene) -> str:
    definition = scene.define({"chat": CHAT})
    scene.kit("up", "chat", definition=definition)
    argv = (sys.executable, "-m", "kit", "open", "chat", "-f", str(scene.journey.folder / definition))
    terminal = Terminal(argv, scene.journey.environment)
    try:
        terminal.expect("User: ")
        terminal.type("What does kit carry?")
        terminal.expect("Assistant: ")
        terminal.expect("User: ")
        answer = terminal.shown.rpartition("Assistant: ")[2].partition("User: ")[0]
        terminal.type("exit")
        assert terminal.end() == 0, terminal.shown
        (run,) = (run for run in scene.kit("status", definition=definition)["runs"] if run["job"] == "chat")
        assert run["container"] == "exited", run
    finally:
        terminal.close()
        scene.kit("down", "--all", definition=definition)
    assert answer.strip(), terminal.shown
    return "a question and its answer at a terminal; `exit` ended it"


def _open_what_does_not_run(scene: Scene) -> str:
    definition = scene.define({"board": {**BOARD, "port": scene.port + 62}})
    scene.kit("down", "board", definition=definition)
    code, said = scene.journey.refused("open", "board", definition=definition)
    error = json.loads(said)["error"]
    assert (code, error["fix"]) == (8, "kit up board"), error
    return f"exit code 8: {error['what']}"


ROWS = (
    Row("board", "opened in chromium through `kit open`", RAN, _board),
    Row("api", "the adapter of a training", RAN, _api_with_adapter),
    Row("api", "a model, with a key", RAN, _api_of_a_model),
    Row("chat", "a model, at a terminal joined over SSH", RAN, _chat),
    Row("open", "a job that does not run", RAN, _open_what_does_not_run),
    rendered("board", "one host of four GPUs", BOARD),
    rendered("chat", "a model", CHAT),
    rendered("api", "a model", {**API, "model": "tiny"}),
    refused("api", "neither model nor training", API),
    refused("api", "vLLM as its engine", {**API, "model": "tiny", "args": {"infer_backend": "vllm"}}),
    refused("board", "shared on the internet", {**BOARD, "env": {"GRADIO_SHARE": "1"}}),
)
