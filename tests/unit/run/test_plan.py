from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.project.load import load_project, parse_project
from kit.project.model import Project
from kit.run.access import given_key
from kit.run.plan import plan_without_hosts
from tests.factories import project_document
from tests.unit.run.factories import manifest

READY_MADE = [path.parent.name for path in data_folder("bundles").glob("*/kit.yaml")]


def project_with(**serve: object) -> Project:
    jobs = {"serve": {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], **serve}}
    return parse_project(project_document(jobs=jobs))


@pytest.mark.parametrize("bundle", READY_MADE)
def test_every_job_of_a_ready_made_bundle_can_be_planned_without_hosts(bundle: str) -> None:
    project = load_project(data_folder("bundles") / bundle / "kit.yaml").project
    for job in project.jobs:
        plan = plan_without_hosts(project, job, None)
        assert plan
        for host in plan:
            files = {file.path: file.content for file in host.files}
            assert yaml.safe_load(files["compose.yaml"])["services"]


def test_with_a_bundle_the_plan_names_the_images_identity() -> None:
    project = parse_project(project_document())
    (host, _) = plan_without_hosts(project, "train", manifest())
    image = manifest().image("train")
    assert image is not None
    assert host.image_tag == image.identity_tag


def test_a_plan_shows_no_secret() -> None:
    project = project_with(env={"HF_TOKEN": "s3cret"}, args={"hf-token": "s3cret"})
    plan = plan_without_hosts(project, "serve", None)
    assert "s3cret" not in str(plan)


def test_a_plan_for_no_job_is_refused() -> None:
    with pytest.raises(ConfigError, match="no job named"):
        plan_without_hosts(parse_project(project_document()), "nope", None)


@pytest.mark.parametrize(
    ("serve", "key"),
    [
        ({}, ""),
        ({"env": {"VLLM_API_KEY": "d"}}, "d"),
    ],
)
def test_the_key_of_an_endpoint_is_found_where_kit_yaml_gives_it(serve: dict[str, object], key: str) -> None:
    assert given_key(project_with(**serve), "serve") == key


def test_other_jobs_have_no_key() -> None:
    project = parse_project(project_document())
    assert given_key(project, "train") == ""


def test_every_ready_made_bundle_is_looked_at() -> None:
    assert {"demo", "qwen3-32b", "qwen3-32b-4xl20"} <= set(READY_MADE)
    assert all((Path(data_folder("bundles")) / name).is_dir() for name in READY_MADE)
