"""A dataset's rows as questions, in the code that runs inside the images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.data_files import data_folder

sys.path.insert(0, str(data_folder("templates") / "asking"))
import rows as rows_module  # type: ignore[import-not-found]

sys.path.pop(0)


def read(
    folder: Path, records: Any, *, lines: bool = False, limit: int | None = None, **more: Any
) -> list[Any]:
    path = folder / "rows.json"
    text = "\n".join(json.dumps(record) for record in records) if lines else json.dumps(records)
    path.write_text(text, encoding="utf-8")
    dataset = {"file": str(path), "format": "alpaca", "columns": {}, "tags": {}, "ranking": False} | more
    return [
        (row.number, [(said["role"], said["content"]) for said in row.messages], row.reference)
        for row in rows_module.read_rows(dataset, more.get("system"), limit)
    ]


def test_an_instruction_and_its_input_are_asked_on_two_lines(tmp_path: Path) -> None:
    records = [{"instruction": "Add.", "input": "1 1", "output": "2", "system": "s", "history": [["a", "b"]]}]
    asked = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "Add.\n1 1")]
    assert read(tmp_path, records) == [(1, asked, "2")]


def test_lines_and_an_array_are_read_alike_and_a_limit_takes_the_first(tmp_path: Path) -> None:
    records = [{"instruction": str(number)} for number in range(3)]
    found = read(tmp_path, records, lines=True)
    assert found == read(tmp_path, records)
    assert [number for number, _, _ in found] == [1, 2, 3]
    assert read(tmp_path, records, limit=2) == found[:2]


def test_columns_name_what_is_asked_and_answered(tmp_path: Path) -> None:
    columns = {"prompt": "frage", "response": "antwort"}
    records = [{"frage": "?", "antwort": "!", "output": "no", "input": "no"}]
    assert read(tmp_path, records, columns=columns) == [(1, [("user", "?")], "!")]


def test_of_a_pair_the_chosen_answer_is_the_reference(tmp_path: Path) -> None:
    columns = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    records = [{"q": "?", "good": "yes", "bad": "no"}]
    assert read(tmp_path, records, columns=columns, ranking=True) == [(1, [("user", "?")], "yes")]


def test_turns_before_the_last_answer_are_asked(tmp_path: Path) -> None:
    turns = [("system", "s"), ("human", "a"), ("gpt", "b"), ("human", "c"), ("gpt", "d")]
    records = [{"conversations": [{"from": who, "value": text} for who, text in turns]}]
    asked = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]
    assert read(tmp_path, records, format="sharegpt") == [(1, asked, "d")]


def test_tags_and_a_pair_in_sharegpt(tmp_path: Path) -> None:
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "chosen": "c", "rejected": "r"}
    records = [
        {
            "messages": [{"role": "user", "content": "?"}],
            "c": {"role": "assistant", "content": "yes"},
            "r": {"role": "assistant", "content": "no"},
        }
    ]
    found = read(tmp_path, records, format="sharegpt", tags=tags, columns=columns, ranking=True)
    assert found == [(1, [("user", "?")], "yes")]


def test_the_jobs_own_system_stands_in_place_of_the_datasets(tmp_path: Path) -> None:
    records = [{"instruction": "?", "system": "theirs"}]
    assert read(tmp_path, records, system="ours")[0][1] == [("system", "ours"), ("user", "?")]


@pytest.mark.parametrize(
    ("record", "more"),
    [
        ({"output": "x"}, {}),
        ({"instruction": 5}, {}),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, {"format": "sharegpt"}),
        ({"conversations": [{"from": "bot", "value": "x"}]}, {"format": "sharegpt"}),
        ({}, {"format": "sharegpt"}),
    ],
)
def test_a_row_that_asks_nothing_is_named_by_its_number(
    tmp_path: Path, record: dict[str, Any], more: dict[str, Any]
) -> None:
    good = {"instruction": "?", "conversations": [{"from": "human", "value": "?"}]}
    with pytest.raises(rows_module.WrongRowError, match="row 2 of"):
        read(tmp_path, [good, record], **more)
