"""Training data that is not right ends kit before anything is locked or launched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kit.cli.main import app
from kit.dataset.registered import registered_form
from kit.errors import ConfigError
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.project.model import DatasetSpec
from kit.workflow.check_data import check_job_data
from kit.workflow.check_inputs import check_job_inputs
from tests.factories import project_document

RECORD = {"instruction": "Who?", "input": "", "output": "I."}
BROKEN_LINE = 31_207


def project(folder: Path, lines: list[str], **entry: Any) -> LoadedProject:
    """A project whose one dataset stands beside kit.yaml; old enough to be remembered."""
    path = folder / "data" / "questions.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (1, 1))
    datasets = {"questions": {"path": "data/questions.jsonl", **entry}}
    return LoadedProject(parse_project(project_document(datasets=datasets)), folder)


def with_broken_line() -> list[str]:
    lines = [json.dumps(RECORD)] * (BROKEN_LINE + 5)
    lines[BROKEN_LINE - 1] = lines[0][:-3]
    return lines


def test_a_broken_line_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_job_data(project(tmp_path, with_broken_line()), "train", NoProgress())
    assert caught.value.where == f"{tmp_path}/data/questions.jsonl:{BROKEN_LINE}"
    assert f"1 of {BROKEN_LINE + 5:,} records" in caught.value.what
    assert "not JSON" in caught.value.why
    assert "kit dataset check" in caught.value.fix


def test_a_good_file_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    loaded = project(tmp_path, [json.dumps(RECORD)] * 3)
    seen: list[str] = []

    class Seen(NoProgress):
        def start(self, task: str, total: int | None = None) -> None:
            del total
            seen.append(task)

    check_job_data(loaded, "train", Seen())
    check_job_data(loaded, "train", Seen())
    assert seen == ["check questions.jsonl"]
    with (tmp_path / "data" / "questions.jsonl").open("a") as file:
        file.write("no record\n")
    with pytest.raises(ConfigError, match="1 of 4 records"):
        check_job_data(loaded, "train", Seen())


def test_another_form_in_kit_yaml_is_another_question(tmp_path: Path) -> None:
    check_job_data(project(tmp_path, [json.dumps(RECORD)]), "train", NoProgress())
    columns = {"prompt": "instruction", "response": "answer"}
    with pytest.raises(ConfigError) as caught:
        check_job_data(project(tmp_path, [json.dumps(RECORD)], columns=columns), "train", NoProgress())
    assert "no record has the column 'answer' that is to be read as response" in caught.value.why


def test_a_file_that_is_not_there_is_no_matter(tmp_path: Path) -> None:
    loaded = project(tmp_path, [json.dumps(RECORD)])
    (tmp_path / "data" / "questions.jsonl").unlink()
    check_job_data(loaded, "train", NoProgress())


def test_only_trainings_have_their_data_checked(tmp_path: Path) -> None:
    check_job_data(project(tmp_path, ["nothing"]), "merge", NoProgress())


def test_a_column_that_llama_factory_reads_nothing_by_is_named(tmp_path: Path) -> None:
    loaded = project(tmp_path, [json.dumps(RECORD)], columns={"prompt": "instruction", "answer": "output"})
    with pytest.raises(ConfigError) as caught:
        check_job_data(loaded, "train", NoProgress())
    assert caught.value.where == "datasets.questions.columns"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"columns": {"response": "output"}}, "datasets.d.columns"),
        ({"format": "sharegpt", "tags": {"role_tag": "role"}}, "datasets.d.tags"),
        ({"format": "sharegpt", "columns": {"prompt": "talk"}}, "datasets.d.columns"),
    ],
)
def test_an_entry_that_llama_factory_would_die_of_is_refused(entry: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registered_form("d", DatasetSpec(path="x.json", **entry))
    assert caught.value.where == key


@pytest.mark.parametrize("words", [["lock", "--offline"], ["up", "train"], ["plan", "train", "--offline"]])
def test_every_way_to_a_launch_ends_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    project(tmp_path, with_broken_line())
    document = project_document(datasets={"questions": {"path": "data/questions.jsonl"}})
    (tmp_path / "kit.yaml").write_text(yaml.safe_dump(document))
    done = CliRunner().invoke(app, [*words, "-f", str(tmp_path / "kit.yaml"), "--json"])
    assert done.exit_code == 2, done.output
    assert f"questions.jsonl:{BROKEN_LINE}" in json.loads(done.stdout)["error"]["where"]
    assert not (tmp_path / "kit.lock").exists()


def with_tokens(folder: Path, *tokens: str) -> None:
    """Lay out a model whose tokenizer has these, and whose chat template speaks of <|im_end|>."""
    (folder / "model").mkdir()
    added = [{"id": index, "content": token} for index, token in enumerate(tokens)]
    (folder / "model" / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    config = {"chat_template": "{{ \"<|im_end|>\" + '<|im_end|>' }}"}
    (folder / "model" / "tokenizer_config.json").write_text(json.dumps(config))


def test_a_template_that_does_not_fit_the_model_beside_kit_yaml_is_refused(tmp_path: Path) -> None:
    loaded = project(tmp_path, [json.dumps(RECORD)])
    check_job_inputs(loaded, "train", NoProgress())
    with_tokens(tmp_path, "<|eot_id|>")
    with pytest.raises(ConfigError) as caught:
        check_job_inputs(loaded, "train", NoProgress())
    assert caught.value.where == "jobs.train.template"


def test_a_template_that_fits_the_model_beside_kit_yaml_passes(tmp_path: Path) -> None:
    loaded = project(tmp_path, [json.dumps(RECORD)])
    with_tokens(tmp_path, "<|im_start|>", "<|im_end|>")
    check_job_inputs(loaded, "train", NoProgress())
