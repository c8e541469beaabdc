"""What runs write on hosts and kit reads, and what users have that kit imports. See `targets`."""

from __future__ import annotations

import json
import math

from kit.importing.recognise import drafts_of_text
from kit.run.bench import Bench, load_of
from kit.run.endpoint import event_of
from kit.run.record import dump_record, parse_record
from kit.run.training_log import parse_step, read_points, read_training, scores_of

SEEDS = {
    "training_log": [
        (
            b'{"current_steps": 2, "total_steps": 6, "loss": 1.5}\n{"current_steps": 4, "eval_loss": "2"}\n'
            b'\0{"train_loss": 1.2, "predict_bleu-4": 3}'
        ),
        b'{"current_steps": 1e999, "loss": NaN}\n' + b"[" * 9000 + b"\0" + b"[" * 9000,
    ],
    "run_record": [
        b'{"kit_run":1,"hosts":["gpu1"],"inputs":[["a","b"]],"artifact":null,"training":null,"adapter":null}',
        (
            b'{"kit_run":1,"hosts":[],"inputs":[],"artifact":{"path":"out","files":[]},"adapter":null,'
            b'"training":{"first_loss":1,"last_loss":null,"steps":3,"metrics":[["a",1]]}}'
        ),
    ],
    "bench_result": [
        (
            b'{"completed":16,"median_ttft_ms":1,"p99_ttft_ms":2,"median_tpot_ms":3,"p99_tpot_ms":4,'
            b'"output_throughput":5,"duration":6,"input_throughput":7,"request_throughput":8}'
        ),
    ],
    "answer_event": [b'data: {"choices":[{"delta":{"content":"a"}}]}', b"data: [DONE]", b": alive"],
    "imported": [
        b"model_name_or_path: a/b\nstage: sft\ndo_train: true\ndataset: d\ntemplate: qwen\n",
        b"export A=1\ntorchrun --nproc_per_node 4 src/train.py --model_name_or_path a --stage dpo",
        b"docker run --gpus all -v /a:/b img vllm serve a/b --tensor-parallel-size 2",
    ],
}


def training_log(data: bytes) -> None:
    """trainer_log.jsonl and, behind a zero, all_results.json: what is read can be shown and drawn."""
    log, _, results = data.decode("utf-8", "replace").partition("\0")
    lines = log.split("\n")
    for step in filter(None, map(parse_step, lines)):
        assert step.text
        assert step.fraction is None or step.fraction <= 1
    assert all(math.isfinite(value) for _, value in read_points(lines, "loss"))
    scores_of(read_training(lines, results))


def run_record(data: bytes) -> None:
    """run.json: what is read is written as something that says the same."""
    found = parse_record(data, "run.json")
    assert dump_record(parse_record(dump_record(found), "run.json")) == dump_record(found)


def bench_result(data: bytes) -> None:
    """What an engine's benchmark writes."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        load_of(found, Bench((4,)), 4)


def answer_event(data: bytes) -> None:
    """A line of an answer that streams."""
    event_of(data)


def imported(data: bytes) -> None:
    """A file that a user trains or serves with."""

    def nothing(path: str) -> None:
        del path

    drafts_of_text(data.decode("utf-8", "replace"), "file", nothing)
