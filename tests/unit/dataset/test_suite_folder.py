"""Folders of MMLU, C-Eval and CMMLU, as their authors lay them out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kit.dataset.check import Wanted, check_file
from kit.dataset.suite_folder import join_suite
from kit.errors import ConfigError
from kit.progress import NoProgress

if TYPE_CHECKING:
    from pathlib import Path

MMLU = {
    "dev/world_law_dev.csv": '"Which, of\nthese?",1,2,3,4,D\n',
    "test/world_law_test.csv": "What?,1,2,3,4,A\n",
    "val/world_law_val.csv": "Who?,1,2,3,4,A\n",
}
CEVAL = {
    "dev/law_dev.csv": "id,question,A,B,C,D,answer,explanation\n0,哪个？,一,二,三,四,B,因为\n",
    "val/law_val.csv": "id,question,A,B,C,D,answer\n0,什么？,一,二,三,四,C\n",
    "test/law_test.csv": "id,question,A,B,C,D\n0,谁？,一,二,三,四\n",
}
CMMLU = {
    "dev/law.csv": ",Question,A,B,C,D,Answer\n0,哪个？,一,二,三,四,B\n",
    "test/law.csv": "\ufeff,Question,A,B,C,D,Answer\n0,什么？,一,二,三,四,C\n",
}


def joined(folder: Path, files: dict[str, str]) -> list[dict[str, Any]]:
    for name, text in files.items():
        path = folder / "suite" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    result = join_suite(folder / "suite", folder / "suite.jsonl")
    assert check_file(result.path, Wanted(), NoProgress()).is_good
    return [json.loads(line) for line in result.path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("files", "subject", "asked"),
    [
        (MMLU, "world_law", [("dev", "Which, of\nthese?", "4", "D"), ("test", "What?", "4", "A")]),
        (CEVAL, "law", [("dev", "哪个？", "四", "B"), ("val", "什么？", "四", "C")]),
        (CMMLU, "law", [("dev", "哪个？", "四", "B"), ("test", "什么？", "四", "C")]),
    ],
)
def test_published_folders_become_one_file(
    tmp_path: Path, files: dict[str, str], subject: str, asked: list[tuple[str, ...]]
) -> None:
    rows = joined(tmp_path, files)
    assert [(row["split"], row["question"], row["D"], row["answer"]) for row in rows] == asked
    assert {row["subject"] for row in rows} == {subject}
    assert all(set(row) == {"question", *"ABCD", "answer", "subject", "split"} for row in rows)


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"dev/law.csv": CMMLU["dev/law.csv"]}, "no questions with answers"),
        (CMMLU | {"test/law.csv": "Question,A,B,C,D,Answer\nWhat?,1,2,3,4,E\n"}, "cannot be asked"),
    ],
)
def test_what_is_no_suite_is_refused_and_nothing_written(
    tmp_path: Path, files: dict[str, str], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        joined(tmp_path, files)
    assert not (tmp_path / "suite.jsonl").exists()
