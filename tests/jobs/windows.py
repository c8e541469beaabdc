"""Rows of what people look at: LLaMA Board in a browser, LLaMA-Factory's own endpoint."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.open_window import kit_open, look_at_board, train_in_board
from tests.e2e.terminal import Terminal
from tests.jobs.on_gpus import rendered
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.serving import KEY, key_file, shown_of, status_of
from tests.jobs.trainings import training

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

ADAPTER = "adapter_model.safetensors"
ONE: dict[str, Any] = {"hosts": ["gpu1"]}
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


def _board_trains(scene: Scene) -> str:
    """Train by clicks, bring the adapter home, and train the same as a job of kit's."""
    jobs = {"board": {**BOARD, "port": scene.port + 60}}
    definition = scene.define(jobs)
    saves = f"{scene.root}/kept/board/saves"
    scene.lab.exec("gpu1", ("rm", "-rf", f"{saves}/Custom"))
    scene.kit("up", "board", definition=definition)
    try:
        with kit_open(scene.journey, "board", definition) as opened:
            words = {"max_steps": 4, "logging_steps": 1}
            said = train_in_board(opened["url"], scene.journey.folder, "by-hand", words)
    finally:
        scene.kit("down", "board", definition=definition)
    assert said.startswith("Finished."), said
    home = Path(scene.kit("collect", "board", definition=definition)["folder"]) / "saves/Custom/lora/by-hand"
    made = scene.lab.exec("gpu1", ("sha256sum", f"{saves}/Custom/lora/by-hand/{ADAPTER}")).split()[0]
    assert hashlib.sha256((home / ADAPTER).read_bytes()).hexdigest() == made
    argv = [sys.executable, "-m", "kit", "import", str(home / "training_args.yaml"), "--name", "by-hand"]
    into = scene.journey.folder / definition
    subprocess.run([*argv, "--into", str(into), "--host", "gpu1"], check=True, env=scene.journey.environment)
    again = scene.kit("up", "by-hand", definition=definition)
    assert (again["state"], again["steps"]) == ("done", words["max_steps"]), again
    return f"{words['max_steps']} steps by a click; its adapter came home, its arguments ran as a train job"


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


def _api_with_key_file(scene: Scene) -> str:
    port = scene.port + 63
    api = {**API, "model": "tiny", "template": "chatml", "api_key_file": key_file(scene), "port": port}
    definition = scene.define({"api": api})
    scene.kit("up", "api", definition=definition)
    url = f"http://127.0.0.1:{port}/v1/models"
    try:
        asked = scene.kit("ask", "api", "What does kit carry?", "--max-tokens", "8", definition=definition)
        without = status_of(scene, url)
        wrong = status_of(scene, url, "-H", "Authorization: Bearer 0123456789abcdeg")
        right = status_of(scene, url, "-H", f"Authorization: Bearer {KEY}")
        shown = shown_of(scene, "gpu1", "api")
        log = scene.lab.exec("gpu1", ("sh", "-c", 'docker logs "$(docker ps -q -f label=kit.job=api)" 2>&1'))
    finally:
        scene.kit("down", "api", definition=definition)
    assert (without, wrong, right) == ("401", "401", "200"), (without, wrong, right)
    assert asked["answer"], asked
    assert KEY not in shown
    assert KEY not in log
    left = scene.lab.run("gpu1", ("grep", "-rslF", KEY, f"{scene.root}/runs")).stdout
    assert left == b"", left
    return "200 and an answer with the key, 401 without or with another; neither engine, ps nor log shows it"


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
    Row("board", "a training started in the page", RAN, _board_trains),
    Row("api", "the adapter of a training", RAN, _api_with_adapter),
    Row("api", "a model, with a key", RAN, _api_of_a_model),
    Row("api", "a model, a key from a file", RAN, _api_with_key_file),
    Row("chat", "a model, at a terminal joined over SSH", RAN, _chat),
    Row("open", "a job that does not run", RAN, _open_what_does_not_run),
    rendered("board", "one host of four GPUs", BOARD),
    rendered("chat", "a model", CHAT),
    rendered("api", "a model", {**API, "model": "tiny"}),
    refused("api", "neither model nor training", API),
    refused("api", "vLLM as its engine", {**API, "model": "tiny", "args": {"infer_backend": "vllm"}}),
    refused("board", "shared on the internet", {**BOARD, "env": {"GRADIO_SHARE": "1"}}),
)
