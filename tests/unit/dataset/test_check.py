from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.dataset import check
from kit.dataset.form import NAMES
from kit.dataset.schema import LEARNT_BYTES
from kit.errors import ConfigError
from tests.unit.dataset.written import ALPACA, OPENAI, SHAREGPT, array, checked, lines

TURNS = SHAREGPT["conversations"]
HUMAN, GPT = TURNS


@pytest.mark.parametrize(
    ("record", "form"),
    [
        (ALPACA, "alpaca"),
        ({"instruction": "q", "output": "a", "history": [["x", "y"]], "system": "s"}, "alpaca"),
        (ALPACA | {"chosen": "a", "rejected": "b"}, "alpaca-preference"),
        (ALPACA | {"label": True}, "alpaca-kto"),
        (SHAREGPT, "sharegpt"),
        ({"conversations": [HUMAN], "chosen": GPT, "rejected": GPT}, "sharegpt-preference"),
        (SHAREGPT | {"kto_tag": False}, "sharegpt-kto"),
        (OPENAI, "openai"),
        (OPENAI | {"label": False, "tools": "[]"}, "openai-kto"),
        (
            {
                "messages": OPENAI["messages"][:1],
                "chosen": OPENAI["messages"][1],
                "rejected": OPENAI["messages"][1],
            },
            "openai-preference",
        ),
        ({"text": "word"}, "text"),
    ],
)
def test_forms_are_recognised_and_taken(tmp_path: Path, record: dict[str, Any], form: str) -> None:
    assert form in NAMES
    for report in (
        checked(lines(tmp_path / "a.jsonl", [record, record])),
        checked(array(tmp_path / "a.json", [record, record])),
        checked(lines(tmp_path / "b.jsonl", [record]), form=form),
    ):
        assert (report.form, report.is_good, report.faults) == (form, True, ())


def test_a_broken_line_far_down_is_named(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA] * 40_000)
    good = path.read_bytes().split(b"\n")
    good[31_206] = good[31_206][:-4]
    path.write_bytes(b"\n".join(good))
    report = checked(path)
    (fault,) = report.faults
    assert (fault.line, fault.record, fault.code) == (31_207, 31_207, "json")
    assert (report.records, report.faulty, report.is_good) == (40_000, 1, False)


BAD_ALPACA = {
    '{"instruction": "q", "input": "", "output": null}': ("record", "output is missing or null"),
    '{"instruction": "q", "input": ""}': ("record", "output is missing or null"),
    '{"instruction": "q", "input": 3, "output": "a"}': ("type", "input is a number, where text is expected"),
    '{"instruction": ["q"], "input": "", "output": "a"}': ("type", "instruction is a list"),
    '["q", "a"]': ("type", "the record is a list, where an object is expected"),
    '{"instruction": "q"': ("json", "it breaks off"),
    '{"instruction": "q"} {}': ("json", "trailing characters"),
    r'{"instruction": "\ud800", "output": "a"}': ("json", "half of a surrogate pair"),
    '{"instruction": "q", "input": "", "output": "a", "id": "x"}': ("type", "id is text, where a number"),
    '{"instruction": "q", "input": "", "output": "a", "history": [["x"]]}': (
        "type",
        "history[0] is not a list of 2",
    ),
    '{"instruction": "q", "input": "", "output": "a", "tools": "{"}': ("record", "tools is not a JSON list"),
    "[" * 5000: ("type", "the record is a list"),
    '{"id": ' + "[" * 5000: ("type", "id is a list"),
}


@pytest.mark.parametrize("text", BAD_ALPACA)
def test_what_llama_factory_would_not_take_is_named(tmp_path: Path, text: str) -> None:
    good = json.dumps(ALPACA | {"id": 1, "history": [["x", "y"]], "tools": "[]"})
    path = tmp_path / "a.jsonl"
    path.write_text(f"{good}\n\n{text}\n{good}", encoding="utf-8")
    code, words = BAD_ALPACA[text]
    report = checked(path)
    (fault,) = report.faults
    assert (fault.line, fault.record, fault.code) == (3, 2, code)
    assert words in fault.text
    assert report.records == 3


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(ALPACA).encode() + b'\n{"instruction": "\xff", "output": "a"}\n')
    (fault,) = checked(path).faults
    assert (fault.line, fault.code, fault.text) == (2, "utf-8", "byte 0xff in column 18 is not UTF-8")


CALL = {"from": "function_call", "value": '{"name": "f", "arguments": {}}'}
SEEN = {"from": "observation", "value": "3"}
BAD_TURNS: list[tuple[list[Any], str]] = [
    ([], "missing or empty"),
    ([HUMAN], "1 messages"),
    ([{"from": "system", "value": "s"}], "0 messages"),
    ([HUMAN, HUMAN], "message 2 is of 'human', where gpt or function_call has its turn"),
    ([HUMAN, GPT, {"from": "system", "value": "s"}, GPT], "message 3 is of 'system'"),
    ([{"from": "user", "value": "q"}, GPT], "message 1 is of 'user'"),
    ([HUMAN, CALL | {"value": "f()"}, SEEN, GPT], "message 2 is no function call in JSON"),
    ([HUMAN, CALL | {"value": '{"name": "f"}'}, SEEN, GPT], "each call needs name and arguments"),
    ([HUMAN, {"from": "gpt", "value": None}], "conversations[1].value is null, where text is expected"),
    ([HUMAN, {"from": "gpt"}], "conversations[1] lacks 'value'"),
]


@pytest.mark.parametrize(("turns", "words"), BAD_TURNS)
def test_turns_out_of_order_are_named(tmp_path: Path, turns: list[Any], words: str) -> None:
    path = lines(tmp_path / "a.jsonl", [SHAREGPT, {"conversations": turns}])
    (fault,) = checked(path).faults
    assert (fault.line, words in fault.text) == (2, True), fault.text


def test_calls_and_what_is_seen_are_turns(tmp_path: Path) -> None:
    talks = [[HUMAN, CALL, SEEN, GPT], [{"from": "system", "value": "s"}, HUMAN, GPT, HUMAN, GPT]]
    thought = CALL | {"value": f"<think>hm</think>{CALL['value']}"}
    path = lines(tmp_path / "a.jsonl", [{"conversations": talk} for talk in [*talks, [HUMAN, thought]]])
    assert checked(path).is_good


@pytest.mark.parametrize(
    "record",
    [
        {"conversations": [HUMAN, GPT], "chosen": GPT, "rejected": GPT},
        {"conversations": [HUMAN], "chosen": GPT, "rejected": None},
        {"conversations": [HUMAN], "chosen": HUMAN, "rejected": GPT},
        {"conversations": [HUMAN], "chosen": "a", "rejected": GPT},
    ],
)
def test_pairs_that_would_be_dropped_are_named(tmp_path: Path, record: dict[str, Any]) -> None:
    good = {"conversations": [HUMAN], "chosen": GPT, "rejected": GPT}
    report = checked(lines(tmp_path / "a.jsonl", [good, record]))
    assert [fault.line for fault in report.faults] == [2]


@pytest.mark.parametrize("good", [ALPACA | {"label": True}, SHAREGPT | {"label": True}])
def test_marks_that_would_be_misread_are_named(tmp_path: Path, good: dict[str, Any]) -> None:
    empty = {"output": ""} if "output" in good else {"conversations": [HUMAN, GPT | {"value": ""}]}
    bad = [good | {"label": None}, good | empty, {name: good[name] for name in good if name != "label"}]
    report = checked(lines(tmp_path / "a.jsonl", [good, *bad, good | empty | {"label": False}]))
    assert [fault.line for fault in report.faults] == [2, 3, 4]


def test_an_array_names_record_and_line(tmp_path: Path) -> None:
    path = array(tmp_path / "a.json", [ALPACA, ALPACA, ALPACA | {"output": 3}])
    (fault,) = checked(path).faults
    assert (fault.line, fault.record) == (12, 3)
    assert path.read_text(encoding="utf-8").splitlines()[11].strip() == "{"


@pytest.mark.parametrize(
    ("text", "line", "record"),
    [
        ('[{"instruction": "q"},\n {"instruction": "r"} {}]', 2, 3),
        ('[{"instruction": "q"},\n {"instruction": x}]', 2, 2),
        ('[{"instruction": "q"},\n\n', 3, 2),
        ('[{"instruction": "q"}] []', 1, 2),
    ],
)
def test_an_array_that_breaks_says_where(tmp_path: Path, text: str, line: int, record: int) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    (fault,) = checked(path).faults
    assert (fault.line, fault.record, fault.code) == (line, record, "json")


def test_only_the_first_faults_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA, *[{"instruction": "q"}] * 70, 7])
    report = checked(path, limit=3)
    assert [fault.line for fault in report.faults] == [2, 3, 4]
    assert (report.faulty, report.codes) == (71, {"record": 70, "type": 1})


@pytest.mark.parametrize("later", [{"extra": 1}, {"note": "text"}])
def test_a_column_that_comes_after_the_first_10_mib_is_refused(tmp_path: Path, later: dict[str, Any]) -> None:
    wide = ALPACA | {"input": "x" * (LEARNT_BYTES // 2), "note": None}
    path = lines(tmp_path / "a.jsonl", [wide, wide, wide, ALPACA | later])
    (fault,) = checked(path).faults
    assert (fault.line, fault.code) == (4, "column")
    # An array is read as a whole by the library, and so has all of its columns from the beginning.
    assert checked(array(tmp_path / "a.json", [wide, wide, wide, ALPACA | later])).is_good


def test_parts_count_on_where_the_one_before_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[Any] = [ALPACA | {"input": "x" * (n % 97)} for n in range(500)]
    for bad in (0, 123, 250, 499):
        records[bad] = {"instruction": "q"}
    whole = checked(lines(tmp_path / "a.jsonl", records))
    monkeypatch.setattr(check, "PART_BYTES", 1000)
    parts = checked(tmp_path / "a.jsonl")
    assert [fault.line for fault in parts.faults] == [1, 124, 251, 500]
    assert (parts.faults, parts.records, parts.codes) == (whole.faults, 500, whole.codes)


@pytest.mark.slow
def test_several_processes_find_the_same(tmp_path: Path) -> None:
    record = ALPACA | {"output": "x" * 1_000_000}
    path = lines(tmp_path / "a.jsonl", [record] * 70 + [{"instruction": "q"}] + [record] * 5)
    assert path.stat().st_size > 2 * check.PART_BYTES
    report = checked(path, workers=2)
    assert [fault.line for fault in report.faults] == [71]
    assert (report.records, report.faulty) == (76, 1)


def test_a_byte_order_mark_is_fine_before_lines_and_not_before_an_array(tmp_path: Path) -> None:
    for path in (lines(tmp_path / "a.jsonl", [ALPACA]), array(tmp_path / "a.json", [ALPACA])):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert checked(tmp_path / "a.jsonl").is_good
    report = checked(tmp_path / "a.json")
    assert (report.records, report.faulty) == (1, 0)
    assert "byte order mark" in report.problems[0]


def test_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA, ALPACA])
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert (checked(path).records, checked(path).is_good) == (2, True)


def test_a_name_that_llama_factory_does_not_open_is_a_problem(tmp_path: Path) -> None:
    assert not checked(lines(tmp_path / "a.ndjson", [ALPACA])).is_good


def test_an_empty_array_is_a_problem(tmp_path: Path) -> None:
    assert checked(array(tmp_path / "a.json", [])).problems == ("holds no record",)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x1f\x8b\x08", "gzip"),
        ("[]".encode("utf-16"), "UTF-16"),
        (b"PAR1", "Parquet"),
        (b"", "no record"),
        (b" \n\n", "no record"),
        (b'{"a": 1}', "no form"),
    ],
)
def test_files_that_are_something_else_are_refused(tmp_path: Path, head: bytes, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(head)
    with pytest.raises(ConfigError, match=words) as refused:
        checked(path)
    assert str(path) in refused.value.where
    assert refused.value.fix


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}])
    report = checked(path, columns={"prompt": "question", "response": "answer"})
    assert report.is_good
    assert report.entry == {"format": "alpaca", "columns": {"prompt": "question", "response": "answer"}}
    assert checked(path, columns={"prompt": "question", "response": "reply"}).problems
    with pytest.raises(ConfigError, match="no column 'q'"):
        checked(path, columns={"q": "question"})


def test_what_kit_yaml_must_say_follows_from_the_file(tmp_path: Path) -> None:
    assert checked(lines(tmp_path / "a.jsonl", [ALPACA])).entry == {"format": "alpaca"}
    assert checked(lines(tmp_path / "b.jsonl", [SHAREGPT])).entry == {"format": "sharegpt"}
    # Without the column, LLaMA-Factory's default for it is a KeyError.
    short = checked(lines(tmp_path / "c.jsonl", [{"instruction": "q", "output": "a"}])).entry
    assert short == {"format": "alpaca", "columns": {"prompt": "instruction", "response": "output"}}
    assert checked(lines(tmp_path / "d.jsonl", [{"text": "w"}])).entry["columns"] == {"prompt": "text"}
    assert checked(lines(tmp_path / "e.jsonl", [OPENAI])).entry["tags"]["user_tag"] == "user"
    pairs = {"instruction": "q", "input": "", "chosen": "a", "rejected": "b"}
    assert checked(lines(tmp_path / "f.jsonl", [pairs])).entry["ranking"] is True


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no form 'csv'"):
        checked(lines(tmp_path / "a.jsonl", [ALPACA]), form="csv")
