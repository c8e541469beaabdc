"""What runs inside the image for suites: records read as questions, prompts, scores and the table."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.data_files import data_folder
from kit.dataset.check import Wanted, check_file
from kit.errors import ConfigError
from kit.progress import NoProgress

sys.path.insert(0, str(data_folder("templates") / "lm-eval"))
import choices  # type: ignore[import-not-found]
import kept  # type: ignore[import-not-found]
import letters  # type: ignore[import-not-found]
import prepare_suites  # type: ignore[import-not-found]
import run_suites  # type: ignore[import-not-found]
import suite_report  # type: ignore[import-not-found]

sys.path.pop(0)

PLAIN = {"question": "2 + 2?", "A": "3", "B": "4", "C": "5", "D": "6", "answer": "B"}


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        (PLAIN, {}),
        (
            {"Question": "2 + 2?", "A": 3, "B": 4, "C": 5, "D": 6, "Answer": "b"},
            {"question": "Question", "answer": "Answer"},
        ),
        ({"question": "2 + 2?", "choices": ["3", "4", "5", "6"], "answer": 1, "subject": None}, {}),
        ({"question": "2 + 2?", "choices": ["3", "4", "5", "6"], "answer": "B"}, {}),
        (PLAIN | {"E": ""}, {}),
    ],
)
def test_the_columns_of_well_known_suites_are_read(record: dict[str, Any], columns: dict[str, str]) -> None:
    assert choices.question_of(record, columns) == choices.Question("2 + 2?", ("3", "4", "5", "6"), 1, "")


@pytest.mark.parametrize(
    ("record", "match"),
    [
        ([], "no object"),
        ({"Question": "q"}, "no column 'question'; it has Question"),
        (PLAIN | {"question": " "}, "question is empty"),
        (PLAIN | {"B": None}, "choice B is missing"),
        (PLAIN | {"C": ""}, "choice C is empty before others"),
        (PLAIN | {"answer": "E"}, "no letter from A to D"),
        (PLAIN | {"answer": 1}, "no letter from A to D"),
        (PLAIN | {"answer": ""}, "no letter"),
        ({"question": "q", "choices": ["a"], "answer": 0}, "1 choices"),
        ({"question": "q", "choices": ["a", ""], "answer": 0}, "a choice is empty"),
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "no letter"),
        ({"question": "q", "choices": ["a", "b"], "answer": True}, "no letter"),
    ],
)
def test_a_record_that_is_no_question_says_why(record: Any, match: str) -> None:
    with pytest.raises(choices.WrongQuestionError, match=match):
        choices.question_of(record, {})


def rows(*subjects: str, **more: Any) -> list[dict[str, Any]]:
    return [
        PLAIN | {"question": f"q{number}?", "subject": subject} | more
        for number, subject in enumerate(subjects)
    ]


def asked(folder: Path, records: list[dict[str, Any]], shots: int = 0, limit: int | None = None) -> list[Any]:
    path = folder / "exam.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    found: list[Any] = prepare_suites.asked_of(path, {}, shots, limit)
    return found


def test_the_first_rows_of_each_subject_stand_solved_before_the_others(tmp_path: Path) -> None:
    found = asked(tmp_path, rows("high_school", "law", "law", "high_school"), shots=1)
    assert [one.row for one in found] == [3, 4]
    head = "The following are multiple choice questions (with answers) about law.\n\n"
    lines = "q{}?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:"
    assert found[0].prompt(1) == head + lines.format(1) + " B\n\n" + lines.format(2)
    assert found[0].prompt(0) == head + lines.format(2)
    assert "about high school." in found[1].prompt(1)


def test_chinese_suites_are_asked_in_chinese(tmp_path: Path) -> None:
    (one,) = asked(tmp_path, rows("", question="二加二等于几？"))
    assert one.prompt(0).startswith("以下是单项选择题")
    assert one.prompt(0).endswith("D. 6\n答案：")


def test_a_subject_without_a_question_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(choices.WrongQuestionError, match=r"subject 'law' .* no question left after 2 shots"):
        asked(tmp_path, rows("law", "law", "art", "art", "art"), shots=2)


def test_rows_of_split_dev_are_shown_and_never_asked(tmp_path: Path) -> None:
    records = [*rows("law", "law", split="test"), *rows("law", "law", split="dev")]
    found = asked(tmp_path, records, shots=1)
    assert [(one.row, [shown.question for shown in one.solved]) for one in found] == [
        (1, ["q0?"]),
        (2, ["q0?"]),
    ]
    with pytest.raises(choices.WrongQuestionError, match="has 2 of 3 shots in split dev"):
        asked(tmp_path, records, shots=3)


def test_a_limit_holds_for_each_subject(tmp_path: Path) -> None:
    assert [one.row for one in asked(tmp_path, rows("law", "law", "art", "art"), limit=1)] == [1, 3]


def encode(text: str) -> list[int]:
    """Words with the space before them, as most tokenizers cut."""
    return [hash(word) for word in re.findall(r" ?[^ ]+| ", text)]


def encode_spaces(text: str) -> list[int]:
    """Every space is a token of its own."""
    return [hash(word) for word in re.findall(r"[^ ]+| ", text)]


def test_a_letter_is_the_token_that_follows_the_prompt() -> None:
    assert letters.letter_tokens(encode, "1 or 2?\nAnswer:", "AB") == ("", [hash(" A"), hash(" B")])
    assert letters.letter_tokens(encode_spaces, "Answer:", "AB") == (" ", [hash("A"), hash("B")])
    with pytest.raises(ValueError, match="no single token for each of A, B"):
        letters.letter_tokens(lambda text: list(text.encode("utf-16")), "Answer:", "AB")


def test_questions_are_grouped_by_the_number_of_their_choices(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    odd = PLAIN | {"question": "{{x}}\u2028?"}
    records = [odd, {"question": "?", "choices": ["1", "2"], "answer": 0}, PLAIN]
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    path.write_text(text, encoding="utf-8")
    found = [(one, one.prompt(0)) for one in prepare_suites.asked_of(path, {}, 0, None)]
    assert run_suites.write_tasks(tmp_path, "exam", found, encode) == ["kit-exam-2", "kit-exam-4"]
    lines = (tmp_path / "kit-exam-4.jsonl").read_text(encoding="utf-8").split("\n")
    asked_first, asked_last = (json.loads(line) for line in lines[:2])
    assert "{{x}}\u2028?" in asked_first["prompt"]
    assert (asked_first["place"], asked_last["place"], asked_last["letter"]) == (0, 2, "B")
    task = json.loads((tmp_path / "kit-exam-2.yaml").read_text(encoding="utf-8"))
    assert task["generation_kwargs"]["allowed_token_ids"] == [hash(" A"), hash(" B")]
    assert (task["doc_to_text"], task["doc_to_target"]) == ("prompt", "letter")


def test_solved_questions_go_where_a_prompt_is_too_long(tmp_path: Path) -> None:
    (one,) = asked(tmp_path, rows("law", "law", "law"), shots=2)
    whole, bare = len(one.prompt(2)), len(one.prompt(0))
    fitted = run_suites.Fitted()
    for room, shots in ((whole, 2), (whole - 1, 1), (bare, 0), (bare - 1, 0)):
        prompt = run_suites.fitting(one, "exam", 2, lambda text, room=room: len(text) <= room, fitted)
        assert prompt == one.prompt(shots)
    assert (fitted.shorter, fitted.cut) == ({("exam", 3)}, {("exam", 3)})


def test_an_answer_that_is_no_letter_ends_it() -> None:
    samples = [
        {"doc": {"place": place}, "filtered_resps": [said]} for place, said in ((3, "B"), (1, "[invalid]"))
    ]
    assert run_suites.picked_of(samples[:1], "exam") == [(3, "B")]
    with pytest.raises(ValueError, match="1 of 2 answers to exam are no letters"):
        run_suites.picked_of(samples, "exam")


def test_answers_of_a_run_that_was_cut_off_are_there_for_the_next(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("1", "2"))
    for run in (first, second):
        (run / "progress").mkdir(parents=True)
    key = kept.asked_key("run", "tiny", ("prompt", {"max_gen_toks": 1}))
    kept.Kept(first, tmp_path, 2).add(key, " A")
    with (first / "progress" / "answers.jsonl").open("a") as file:
        file.write('{"asked": "')
    after = kept.Kept(second, tmp_path, 2)
    assert (after.get(key), after.get("other")) == (" A", None)
    (first / "out").mkdir()
    (first / "out" / "table.json").touch()
    assert kept.Kept(second, tmp_path, 2).get(key) is None


def test_the_table_holds_models_against_the_first_by_suite_and_subject(tmp_path: Path) -> None:
    suite = asked(tmp_path, rows("law", "law", "art"))
    picked = {"base": ["B", "C", "C"], "tuned": ["B", "B", "C"]}
    scores = {model: {"exam": suite_report.scores_of(suite, found)} for model, found in picked.items()}
    assert suite_report.table(scores) == [
        ["suite", "subject", "questions", "base", "tuned"],
        ["exam", "all", "3", "33.33", "66.67 (+33.34)"],
        ["exam", "mean of 2 subjects", "3", "25.00", "50.00 (+25.00)"],
        ["exam", "law", "2", "50.00", "100.00 (+50.00)"],
        ["exam", "art", "1", "0.00", "0.00 (+0.00)"],
    ]
    answers = list(
        suite_report.answers({"exam": suite}, {model: {"exam": found} for model, found in picked.items()})
    )
    assert answers[1]["picked"] == {"base": "C", "tuned": "B"}
    text = "".join(suite_report.report(suite_report.table(scores), answers, "told"))
    assert "Where they differ: 1 of 3 questions" in text


def test_a_suite_is_checked_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "exam.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(PLAIN))
        writer.writeheader()
        writer.writerows([PLAIN, PLAIN | {"answer": "Z"}])
    report = check_file(path, Wanted(), NoProgress())
    assert (report.form, report.records, report.faulty, report.layout) == ("choices", 2, 1, "csv")
    assert [(fault.line, fault.record, fault.code) for fault in report.faults] == [(3, 2, "record")]
    assert report.entry == {"format": "choices"}


@pytest.mark.parametrize("as_lines", [True, False])
def test_a_suite_is_known_by_its_columns(tmp_path: Path, *, as_lines: bool) -> None:
    path = tmp_path / "exam.json"
    text = "\n".join(map(json.dumps, [PLAIN, PLAIN])) if as_lines else json.dumps([PLAIN, PLAIN])
    path.write_text(text, encoding="utf-8")
    report = check_file(path, Wanted(), NoProgress())
    assert (report.form, report.is_good, report.records) == ("choices", True, 2)


def test_broken_json_in_a_suite_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps(PLAIN) + "\n{broken\n", encoding="utf-8")
    report = check_file(path, Wanted(form="choices"), NoProgress())
    assert [(fault.line, fault.code) for fault in report.faults] == [(2, "json")]


def test_a_column_that_suites_do_not_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps(PLAIN) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no column 'prompt'"):
        check_file(path, Wanted(form="choices", columns={"prompt": "question"}), NoProgress())
