from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.cli.dataset import COMMANDS
from tests.unit.cli.test_main import run
from tests.unit.dataset.written import ALPACA, SHAREGPT, lines


def test_every_command_has_an_example() -> None:
    assert run("dataset", "--help").exit_code == 0
    for command, example in COMMANDS:
        shown = run("dataset", command.__name__, "--help")
        assert shown.exit_code == 0
        assert example in " ".join(shown.stdout.split())


def test_bad_data_is_exit_code_2_and_named_by_file_and_line(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA, ALPACA | {"output": None}, ALPACA | {"output": None}])
    found = run("dataset", "check", str(path), "--limit", "1")
    assert found.exit_code == 2
    assert f"{path}:2: output is missing or null" in found.stdout
    assert "1 more faults" in found.stdout
    document = json.loads(run("dataset", "check", str(path), "--json").stdout)
    assert (document["good"], document["files"][0]["faulty"]) == (False, 2)
    assert document["files"][0]["faults"][0]["line"] == 2


def test_good_data_is_exit_code_0(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [SHAREGPT | {"system": "s"}])
    found = run("dataset", "check", str(path))
    assert found.exit_code == 0
    assert "all right" in found.stdout
    assert "kit dataset register" in found.stdout


def test_figures_are_drawn_and_told(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA | {"output": "x" * n} for n in range(50)])
    shown = run("dataset", "stats", str(path)).stdout
    assert "50 records" in shown
    assert "empty: 0 questions, 1 answers" in shown
    assert "█" in shown
    document = json.loads(run("dataset", "stats", str(path), "--json").stdout)
    assert document["files"][0]["characters"]["largest"] == 50


def test_files_are_rewritten(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA, ALPACA, ALPACA | {"output": "b"}, ALPACA | {"output": "c"}])
    new = tmp_path / "b.json"
    assert "3 of 4 records, 1 left out" in run("dataset", "dedupe", str(path), str(new)).stdout
    assert run("dataset", "dedupe", str(path), str(new)).exit_code == 2
    assert run("dataset", "convert", str(new), str(path), "--to", "openai", "--force").exit_code == 0
    assert json.loads(run("dataset", "split", str(path), "--eval", "1", "--json").stdout)["eval_records"] == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "a.eval.jsonl",
        "a.jsonl",
        "a.train.jsonl",
        "b.json",
    ]


def test_a_file_is_registered(tmp_path: Path) -> None:
    (tmp_path / "kit.yaml").write_text("version: 1\nstack: cpu\n")
    path = lines(tmp_path / "a.jsonl", [SHAREGPT])
    words = ("dataset", "register", str(path), "-f", str(tmp_path / "kit.yaml"))
    assert "would add" in run(*words, "--dry-run").stdout
    assert "  a: {path: a.jsonl, format: sharegpt}" in run(*words).stdout
    assert run(*words).exit_code == 2
    assert "left as it is" in run(*words[:3], "-f", _flow(tmp_path)).stdout


def _flow(folder: Path) -> str:
    path = folder / "flow.yaml"
    path.write_text("{version: 1, stack: cpu}\n")
    return str(path)


@pytest.mark.parametrize("column", ["question", "=question", "prompt="])
def test_a_column_needs_two_names(tmp_path: Path, column: str) -> None:
    path = lines(tmp_path / "a.jsonl", [ALPACA])
    assert run("dataset", "check", str(path), "--column", column).exit_code == 2


def test_a_suite_s_folder_becomes_a_file_and_a_file_does_not(tmp_path: Path) -> None:
    for split in ("dev", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "law.csv").write_text(",Question,A,B,Answer\n0,Q?,1,2,B\n")
    new = tmp_path / "suite.jsonl"
    assert (
        "choices, 2 records" in run("dataset", "convert", str(tmp_path), str(new), "--to", "choices").stdout
    )
    assert run("dataset", "convert", str(tmp_path), str(new), "--force").exit_code == 2
    assert run("dataset", "convert", str(new), str(tmp_path / "b.jsonl"), "--to", "choices").exit_code == 2
