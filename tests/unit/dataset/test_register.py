from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kit.dataset.check import Wanted
from kit.dataset.register import Registered, flow, register
from kit.errors import ConfigError
from kit.progress import NoProgress
from kit.project.load import load_project
from tests.unit.dataset.written import ALPACA, OPENAI, lines

HEAD = "# what we carry\nversion: 1\nstack: cpu   # no cards\n"
DATASETS = "datasets:\n  # ours\n  notes: {path: data/notes.json, format: alpaca}   # old\n\n# hosts below\n"
BLOCK = "datasets:\n    notes:\n        path: data/notes.json\n        columns:\n            prompt: q\n"
HOSTS = "hosts:\n  gpu1: {address: 10.0.0.1}\n"


def registered(
    folder: Path, text: str, name: str = "", record: object = OPENAI, *, dry_run: bool = False
) -> Registered:
    kit_yaml = folder / "kit.yaml"
    kit_yaml.write_bytes(text.encode())
    path = lines(folder / "My Notes.jsonl".replace(" ", "-"), [record])
    return register(path, kit_yaml, name, Wanted(workers=1), NoProgress(), dry_run=dry_run)


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        HEAD.rstrip("\n"),
        HEAD + DATASETS + HOSTS,
        HEAD + BLOCK + HOSTS,
        HEAD + BLOCK,
        HOSTS + BLOCK.rstrip("\n") + "\n\n\n" + HEAD,
        (HEAD + DATASETS + HOSTS).replace("\n", "\r\n"),
    ],
)
def test_an_entry_is_added_and_every_other_line_stays(tmp_path: Path, text: str) -> None:
    result = registered(tmp_path, text, "talks")
    assert (result.is_written, result.why_not) == (True, "")
    after = (tmp_path / "kit.yaml").read_bytes().decode()
    added = [line for line in after.splitlines() if line not in text.splitlines()]
    assert [line for line in added if line not in {"datasets:", ""}] == list(result.lines)
    assert [line for line in after.splitlines() if line in text.splitlines()][: len(text.splitlines())]
    before = yaml.safe_load(text)
    entry = {"path": "My-Notes.jsonl", **result.report.entry}
    assert yaml.safe_load(after) == before | {"datasets": {**before.get("datasets", {}), "talks": entry}}
    assert load_project(tmp_path / "kit.yaml").project.datasets["talks"].tags["user_tag"] == "user"


@pytest.mark.parametrize("datasets", ["datasets: {}\n", "datasets: {old: {path: x.json}}\n", "datasets:\n"])
def test_what_cannot_be_added_soundly_is_said(tmp_path: Path, datasets: str) -> None:
    text = HEAD + datasets
    if datasets == "datasets:\n":
        with pytest.raises(ConfigError):
            registered(tmp_path, text)
        return
    result = registered(tmp_path, text)
    assert (result.is_written, bool(result.why_not)) == (False, True)
    assert (tmp_path / "kit.yaml").read_text() == text
    assert result.lines[0].startswith("  my-notes: {path: My-Notes.jsonl")


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert not registered(tmp_path, HEAD, dry_run=True).is_written
    assert (tmp_path / "kit.yaml").read_text() == HEAD


def test_bad_data_and_taken_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 records are not right"):
        registered(tmp_path, HEAD, record=ALPACA | {"output": None})
    with pytest.raises(ConfigError, match="already"):
        registered(tmp_path, HEAD + DATASETS, "notes")
    with pytest.raises(ConfigError, match="is no name"):
        registered(tmp_path, HEAD, "数据")
    path = lines(tmp_path / "two words.jsonl", [ALPACA])
    with pytest.raises(ConfigError, match="has a space"):
        register(path, tmp_path / "kit.yaml", "x", Wanted(), NoProgress())


@pytest.mark.parametrize(
    "text", ["yes", "a b", "数据", "1.5", "$x", "a: b", '"', "#", "null", "-", "data/notes.json"]
)
def test_texts_survive_as_yaml(text: str) -> None:
    assert yaml.safe_load(flow({"key": text, text: [1, True]}) if text != "key" else "") == {
        "key": text,
        text: [1, True],
    }
