"""Rows of what comes after a training: what it made goes to another host, is measured, answers a dataset."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.jobs.data import OF_STAGE
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.trainings import training

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs.scene import Scene

ONE: dict[str, Any] = {"hosts": ["gpu1"]}
ROWS_ASKED = 32
"""What the dataset `sums` has."""
_SERVED = {
    "kind": "serve",
    "model": "tiny",
    "adapters": ["row-train"],
    "dtype": "float32",
    "max_model_len": 256,
    "args": {"enforce_eager": True},
    **ONE,
}
_ASKS = {"through": "row-serve", "dataset": OF_STAGE["sft"], "max_tokens": 24}


def _trained(scene: Scene, **keys: Any) -> dict[str, Any]:
    learns = {"max_steps": 100, "learning_rate": 5.0e-3, "lora_rank": 32, "per_device_train_batch_size": 8}
    return {"row-train": {**training("sft", "lora", learns, **ONE), "port": scene.port, **keys}}


def _adapter_elsewhere(scene: Scene) -> str:
    """Train on one host, merge on the other; what is there already does not go again."""
    export = {"kind": "export", "from": "row-train", "hosts": ["gpu2"], "args": {"infer_dtype": "float32"}}
    definition = scene.define({**_trained(scene), "row-merge": export})
    scene.kit("up", "row-train", definition=definition)
    planned = scene.kit("up", "row-merge", "--dry-run", definition=definition)["carried"]
    first = scene.kit("up", "row-merge", definition=definition)
    again = scene.kit("up", "row-merge", definition=definition)
    (brought,) = first["carried"]
    assert planned == [brought], (planned, first)
    assert again["carried"] == [], again
    assert (brought["source"], brought["target"], first["made_on"]) == ("gpu1", "gpu2", "gpu2"), first
    sums = "cd $0 && sha256sum adapter_model.safetensors"
    here, there = (
        scene.lab.exec(host, ("sh", "-c", sums, f"{scene.run_folder('row-train')}/{folder}")).split()[0]
        if host == "gpu1"
        else scene.lab.exec(
            host, ("sh", "-c", sums, f"{scene.root}/runs/row-train/{brought['run_id']}/{folder}")
        ).split()[0]
        for host, folder in (("gpu1", "out"), ("gpu2", "carried"))
    )
    assert here == there
    return f"{brought['files']} files, {brought['bytes']:,} bytes went to gpu2 to be merged, once"


def _predict(scene: Scene) -> str:
    args = {"do_predict": True, "predict_with_generate": True, "val_size": 0.25, "max_new_tokens": 16}
    definition = scene.define({"row-predict": {**training("sft", "lora", args, **ONE), "port": scene.port}})
    result = scene.kit("up", "row-predict", definition=definition)
    assert result["state"] == "done", result
    found = json.loads(scene.read("gpu1", f"{scene.run_folder('row-predict')}/out/all_results.json"))
    names = ("predict_bleu-4", "predict_rouge-1", "predict_rouge-2", "predict_rouge-l")
    assert all(isinstance(found.get(name), float) for name in names), found
    rows = scene.read("gpu1", f"{scene.run_folder('row-predict')}/out/generated_predictions.jsonl")
    assert rows.count("\n") == ROWS_ASKED // 4, rows
    return f"{rows.count(chr(10))} held-out rows: " + ", ".join(
        f"{name[8:]} {found[name]:.2f}" for name in names
    )


@contextmanager
def _serving(scene: Scene, jobs: dict[str, Any]) -> Iterator[str]:
    """Train an adapter and serve it beside its model; yield the definition."""
    served = {**_SERVED, "port": scene.port + 31}
    definition = scene.define({**_trained(scene), "row-serve": served, **jobs})
    scene.kit("up", "row-train", definition=definition)
    scene.kit("up", "row-serve", definition=definition)
    try:
        yield definition
    finally:
        scene.kit("down", "row-serve", definition=definition)


def _infer(scene: Scene) -> str:
    """Ask every row, killed on the way; the next run asks only what was not answered."""
    # Long answers, one at a time: there is time to kill it.
    asks = {"kind": "infer", "model": "tiny", **_ASKS, "max_tokens": 160, "concurrency": 1}
    with _serving(scene, {"row-answers": asks}) as definition:
        scene.kit("up", "row-answers", "--detach", definition=definition)
        kept = _kill_on_the_way(scene)
        result = scene.kit("up", "row-answers", definition=definition)
    row = dict(zip(*result["table"], strict=True))
    assert (row["answers"], row["taken over"]) == (str(ROWS_ASKED), str(kept)), (row, kept)
    text = scene.read("gpu1", f"{scene.run_folder('row-answers')}/out/answers.jsonl")
    answers = [json.loads(line) for line in text.splitlines()]
    assert [answer["row"] for answer in answers] == list(range(1, ROWS_ASKED + 1))
    assert all("error" not in answer and answer["reference"] for answer in answers), answers
    return f"killed after {kept} of {ROWS_ASKED} answers; the next run took these over and asked the rest"


def _kill_on_the_way(scene: Scene) -> int:
    """Kill the container on its host once it has a few answers; return how many are kept."""
    path = f"{scene.run_folder('row-answers')}/progress/answers.jsonl"
    kill = "docker kill $(docker ps -q --filter label=kit.job=row-answers)"
    wait = f"while [ $(cat {path} 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.1; done"
    scene.lab.exec("gpu1", ("sh", "-c", f"timeout 30 sh -c '{wait}'; {kill}"))
    kept = int(scene.lab.exec("gpu1", ("sh", "-c", f"cat {path} | wc -l")))
    assert 3 <= kept < ROWS_ASKED, kept
    return kept


def _eval(scene: Scene) -> str:
    with _serving(scene, {"row-eval": {"kind": "eval", **_ASKS}}) as definition:
        result = scene.kit("up", "row-eval", definition=definition)
    head, base, tuned = result["table"]
    assert (base[0], tuned[0]) == ("tiny", "row-train"), result["table"]
    scores = json.loads(scene.read("gpu1", f"{scene.run_folder('row-eval')}/out/scores.json"))
    assert len(scores["rows"]) == ROWS_ASKED
    assert set(scores["models"]) == {"tiny", "row-train"}
    report = scene.read("gpu1", f"{scene.run_folder('row-eval')}/out/report.md")
    assert "| row | question | reference | tiny | row-train |" in report, report[:1000]
    shown = ", ".join(
        f"{name} {before} → {after}" for name, before, after in list(zip(head, base, tuned, strict=True))[2:]
    )
    return f"{ROWS_ASKED} rows to both at one endpoint: {shown}"


_SERVE: dict[str, Any] = {"row-serve": {**_SERVED, "adapters": []}}
ROWS = (
    Row("export", "an adapter that was trained on another host", RAN, _adapter_elsewhere),
    Row("predict", "BLEU and ROUGE on held-out rows, LLaMA-Factory's own", RAN, _predict),
    Row("infer", "at a served endpoint, killed and gone on with", RAN, _infer),
    Row("eval", "base and adapter side by side at one endpoint", RAN, _eval),
    refused("infer", "a name that is not served", {"kind": "infer", **_ASKS, "model": "nobody"}, **_SERVE),
    refused("eval", "a training in place of what serves", {"kind": "eval", **_ASKS, "through": "row-eval"}),
)
