from __future__ import annotations

import json

import pytest
import yaml

from kit.project.init import starter_files
from kit.project.load import parse_project


@pytest.mark.parametrize("stack", ["cpu", "cu126"])
def test_what_init_writes_is_a_project_that_kit_accepts(stack: str) -> None:
    files = starter_files(stack, "notes")
    project = parse_project(yaml.safe_load(files["kit.yaml"]))
    assert project.stack == stack
    assert project.datasets["notes"].path in files


def test_the_example_data_is_alpaca() -> None:
    rows = json.loads(starter_files("cpu", "notes")["data/notes.json"])
    assert all({"instruction", "output"} <= row.keys() for row in rows)
