from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.project.load import load_project, parse_project
from kit.project.references import hosts_of, image_of
from tests.factories import project_document


def test_a_complete_document_is_accepted() -> None:
    project = parse_project(project_document())
    assert project.hosts["gpu1"].address == "10.0.0.11"
    assert project.jobs["train"].kind == "train"


def test_an_export_runs_where_its_adapter_was_written() -> None:
    project = parse_project(project_document())
    assert hosts_of(project, "merge") == ("gpu1",)
    assert image_of(project, "merge") == "train"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"modles": {}}, "modles: unknown key"),
        ({"version": 2}, "version"),
        ({"stack": "cu118"}, "stack"),
        ({"hosts": {"gpu1": {"address": "a", "gpu": 4}}}, "hosts.gpu1.gpu: unknown key"),
        ({"hosts": {"gpu1": {"address": "a", "root": "relative"}}}, "hosts.gpu1.root"),
        ({"hosts": {"gpu1": {"address": "a", "gpus": "0,0"}}}, "hosts.gpu1.gpus"),
        ({"models": {"tiny": {"source": "modelscope"}}}, "models.tiny"),
        ({"models": {"Tiny Model": {"source": "folder", "path": "m"}}}, "models.Tiny Model"),
    ],
)
def test_a_wrong_key_is_named(change: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_project(project_document(**change))
    assert key in str(caught.value)
    assert caught.value.exit_code == 2


def _with_job(**job: Any) -> dict[str, Any]:
    document = project_document()
    return document | {"jobs": document["jobs"] | {"extra": job}}


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (
            {"kind": "serve", "model": "tinny", "hosts": ["gpu1"]},
            "jobs.extra.model: no model or export job named 'tinny'",
        ),
        ({"kind": "serve", "model": "tiny", "hosts": ["gpu9"]}, "jobs.extra.hosts[0]: no host named 'gpu9'"),
        ({"kind": "export", "from": "tran"}, "did you mean 'train'?"),
        (
            {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], "engine": "sglang"},
            "needs the image 'serve-sglang'",
        ),
        (
            {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], "tensor_paralel": 4},
            "jobs.extra.tensor_paralel: unknown key",
        ),
        ({"kind": "launch"}, "jobs.extra"),
    ],
)
def test_a_job_that_leads_nowhere_is_refused(job: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_project(_with_job(**job))
    assert message in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kit init"):
        load_project(tmp_path / "kit.yaml")


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    path.write_text("version: 1\nstack: [cpu\n")
    with pytest.raises(ConfigError, match="line 3"):
        load_project(path)


def test_the_project_cannot_be_changed_after_it_was_read() -> None:
    project = parse_project(project_document())
    with pytest.raises(Exception, match="frozen"):
        project.stack = "cu126"  # type: ignore[misc]
