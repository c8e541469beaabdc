from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.dataset import convert as converting
from kit.dataset.check import Wanted
from kit.dataset.convert import Converted
from kit.dataset.dedupe import Deduped, dedupe
from kit.dataset.split import choose, eval_count, split
from kit.dataset.write import Writing
from kit.errors import ConfigError
from kit.progress import NoProgress
from tests.unit.dataset.written import ALPACA, SHAREGPT, array, checked, lines

HUMAN, GPT = SHAREGPT["conversations"]


def convert(source: Path, path: Path, shape: str = "", **wanted: Any) -> Converted:
    return converting.convert(source, path, shape, Wanted(**wanted), NoProgress())


def deduped(source: Path, path: Path) -> Deduped:
    return dedupe(source, path, Wanted(), NoProgress())


def read(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_alpaca_becomes_sharegpt(tmp_path: Path) -> None:
    record = {
        "instruction": "q",
        "input": "i",
        "output": "a",
        "history": [["x", "y"]],
        "system": "s",
        "id": 1.50,
    }
    result = convert(lines(tmp_path / "a.jsonl", [record]), tmp_path / "b.json", "sharegpt")
    turns = [("human", "x"), ("gpt", "y"), ("human", "q\ni"), ("gpt", "a")]
    assert read(result.path) == [
        {"conversations": [{"from": who, "value": text} for who, text in turns], "system": "s", "id": 1.5}
    ]
    assert "1.5" in result.path.read_text()
    assert checked(result.path).entry == result.entry


def test_sharegpt_becomes_alpaca(tmp_path: Path) -> None:
    talk = [{"from": "system", "value": "s"}, HUMAN, GPT, HUMAN, GPT]
    source = lines(tmp_path / "a.jsonl", [{"conversations": talk}, SHAREGPT])
    result = convert(source, tmp_path / "b.jsonl", "alpaca")
    first, second = read(result.path)
    assert first == ALPACA | {"history": [["问", "答"]], "system": "s"}
    assert second == ALPACA | {"history": [], "system": ""}
    assert checked(result.path).entry == result.entry


def test_an_empty_system_message_hides_the_column_as_llama_factory_has_it(tmp_path: Path) -> None:
    talk = [{"from": "system", "value": ""}, HUMAN, GPT]
    source = lines(tmp_path / "a.jsonl", [{"conversations": talk, "system": "s"}])
    assert read(convert(source, tmp_path / "b.jsonl", "openai").path)[0].get("system", "") == ""


def test_pairs_and_marks_stay_what_they_are(tmp_path: Path) -> None:
    pair = {"conversations": [HUMAN], "chosen": GPT, "rejected": GPT | {"value": "no"}}
    result = convert(lines(tmp_path / "a.jsonl", [pair]), tmp_path / "b.jsonl", "alpaca")
    assert read(result.path) == [{"instruction": "问", "input": "", "chosen": "答", "rejected": "no"}]
    assert result.entry["ranking"] is True
    marked = convert(
        lines(tmp_path / "c.jsonl", [ALPACA | {"kto_tag": False}]), tmp_path / "d.jsonl", "openai"
    )
    assert read(marked.path)[0]["label"] is False
    assert checked(marked.path).form == "openai-kto"


def test_json_and_jsonl_turn_into_each_other_byte_for_byte(tmp_path: Path) -> None:
    record = (
        '{"instruction": "问", "input": "", "output": "\\u7b54", "n": 1.10, "big": 12345678901234567890123}'
    )
    source = tmp_path / "a.jsonl"
    source.write_text(f"{record}\n\n{record}", encoding="utf-8")
    convert(source, tmp_path / "b.json")
    convert(tmp_path / "b.json", tmp_path / "c.jsonl")
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == f"[\n{record},\n{record}\n]\n"
    assert (tmp_path / "c.jsonl").read_text(encoding="utf-8") == f"{record}\n{record}\n"


def test_a_record_of_several_lines_becomes_one(tmp_path: Path) -> None:
    convert(array(tmp_path / "a.json", [ALPACA, ALPACA]), tmp_path / "b.jsonl")
    assert read(tmp_path / "b.jsonl") == [ALPACA, ALPACA]


CALL = {"from": "function_call", "value": '{"name": "f", "arguments": {}}'}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            {"conversations": [HUMAN, CALL, {"from": "observation", "value": "1"}, GPT]},
            "message 2 is a function's",
        ),
        (SHAREGPT | {"instruction": "mine"}, "'instruction' would be overwritten"),
        ({"conversations": [HUMAN]}, "1 messages"),
    ],
)
def test_what_would_be_lost_is_named_and_nothing_written(tmp_path: Path, record: Any, words: str) -> None:
    source = lines(tmp_path / "a.jsonl", [SHAREGPT, record])
    with pytest.raises(ConfigError) as refused:
        convert(source, tmp_path / "b.jsonl", "alpaca")
    assert refused.value.where == f"{source}:2"
    assert words in refused.value.why
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", [ALPACA])
    there = lines(tmp_path / "b.jsonl", [])
    for target, words in (
        (there, "is there already"),
        (source, "what is read"),
        (tmp_path / "x.csv", "jsonl"),
        (tmp_path / "no" / "x.json", "folder"),
    ):
        with pytest.raises(ConfigError, match=words):
            convert(source, target)
    converting.convert(source, there, "", Wanted(), NoProgress(), Writing(force=True))
    assert read(there) == [ALPACA]


def test_a_split_is_whole_and_the_same_again(tmp_path: Path) -> None:
    records = [ALPACA | {"id": n} for n in range(100)]
    source = lines(tmp_path / "notes.jsonl", records)
    parts = split(source, tmp_path, "0.1", 7, NoProgress())
    train, held_out = read(parts.train), read(parts.eval)
    assert (parts.train.name, parts.eval.name) == ("notes.train.jsonl", "notes.eval.jsonl")
    assert (len(train), len(held_out)) == (parts.train_records, parts.eval_records) == (90, 10)
    assert sorted(train + held_out, key=lambda one: one["id"]) == records
    assert [one["id"] for one in held_out] == sorted(choose(100, 10, 7))
    before = parts.eval.read_bytes()
    split(source, tmp_path, "10", 7, NoProgress(), Writing(force=True))
    assert parts.eval.read_bytes() == before
    assert choose(100, 10, 7) != choose(100, 10, 8)


def test_the_choice_is_the_same_on_every_machine() -> None:
    # Written down: a choice that changes with a release of kit or Python mixes training into evaluation.
    assert sorted(choose(20, 4, 42)) == CHOSEN


CHOSEN = [0, 9, 10, 18]


@pytest.mark.parametrize(("share", "count"), [("0.05", 5), ("5%", 5), ("7", 7), ("0.014", 1)])
def test_shares_are_fractions_or_counts(share: str, count: int) -> None:
    assert eval_count(share, 100) == count


@pytest.mark.parametrize("share", ["0", "1.0", "100", "-3", "many", "nan%", "inf%", "", "0.001"])
def test_shares_that_leave_nothing_are_refused(share: str) -> None:
    with pytest.raises(ConfigError):
        eval_count(share, 100)


def test_doubles_are_left_out_and_named(tmp_path: Path) -> None:
    same = [ALPACA, {"instruction": " Ｑ  q", "input": "", "output": "A"}]
    again = {"instruction": "q Q", "input": "", "output": "a", "id": 3}
    source = lines(tmp_path / "a.jsonl", [*same, ALPACA | {"output": "other"}, again, ALPACA])
    result = deduped(source, tmp_path / "b.jsonl")
    assert (result.records, result.kept) == (5, 3)
    assert [(one.line, one.same_as_line) for one in result.doubles] == [(4, 2), (5, 1)]
    assert read(result.path) == [*same, ALPACA | {"output": "other"}]


def test_the_same_words_of_other_roles_are_no_doubles(tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", [ALPACA | {"label": True}, ALPACA | {"label": False}])
    assert deduped(source, tmp_path / "b.jsonl").kept == 2
    one_line = tmp_path / "c.json"
    one_line.write_text(json.dumps([ALPACA, ALPACA | {"output": "x"}, ALPACA]), encoding="utf-8")
    assert deduped(one_line, tmp_path / "d.json").kept == 2


def test_a_dry_run_tells_the_same_and_writes_nothing(tmp_path: Path) -> None:
    source, dry = (
        lines(tmp_path / "a.jsonl", [ALPACA, ALPACA, ALPACA | {"output": "b"}]),
        Writing(dry_run=True),
    )
    new = tmp_path / "b.jsonl"
    assert converting.convert(source, new, "openai", Wanted(), NoProgress(), dry).records == 3
    assert dedupe(source, new, Wanted(), NoProgress(), dry).kept == 2
    assert split(source, tmp_path, "1", 7, NoProgress(), dry).eval_records == 1
    assert list(tmp_path.iterdir()) == [source]
