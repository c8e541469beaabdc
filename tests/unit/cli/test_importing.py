"""`kit import`: what it takes, and where its output goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.test_main import run
from tests.unit.importing.import_factories import training


def test_the_yaml_goes_to_standard_output_and_the_table_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text(training(report_to="mlflow"))
    done = run("import", str(file))
    assert done.exit_code == 0
    assert yaml.safe_load(done.stdout)["jobs"]["train"]["kind"] == "train"
    assert "other trackers call servers outside" in done.stderr


def test_a_command_line_after_two_dashes_is_taken_word_by_word() -> None:
    done = run("import", "--json", "--name", "chat", "--", "vllm", "serve", "a/b", "--template", "it's $x")
    document = json.loads(done.stdout)
    assert document["jobs"] == ["chat"]
    (dropped,) = [change for change in document["changes"] if change["action"] == "dropped"]
    assert dropped["given"] == "--template it's $x"
    assert yaml.safe_load(document["yaml"]) == document["document"]


@pytest.mark.parametrize("words", [("import",), ("import", "-")])
def test_without_a_file_standard_input_is_read(words: tuple[str, ...]) -> None:
    done = run(*words, input="vllm serve a/b \\\n  --port 8001\n")
    assert yaml.safe_load(done.stdout)["jobs"]["serve"]["port"] == 8001


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "gone.yaml"), "gone.yaml: no such file"),
        (("import", "--", "ls"), "nothing that kit has a job for"),
        (("import", "--into", "gone.yaml", "--", "vllm", "serve", "a/b"), "no such file"),
    ],
)
def test_what_cannot_be_imported_ends_with_usage(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "to mend it" in done.stderr
