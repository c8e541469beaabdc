from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError
from kit.project.load import parse_project
from kit.ship.wanted import Wanted, images_of, trees_in, wanted_by_host
from tests.factories import project_document
from tests.unit.ship.factories import ship_bundle_source

TINY = ("model", "tiny")
QUESTIONS = ("dataset", "questions")


def wanted(**overrides: Any) -> dict[str, Wanted]:
    return wanted_by_host(parse_project(project_document(**overrides)))


def test_each_host_gets_what_its_jobs_need() -> None:
    found = wanted()
    assert found["gpu1"] == Wanted(("kit", "train", "serve"), (TINY, QUESTIONS))
    assert found["gpu2"] == Wanted(("kit", "train"), (TINY, QUESTIONS))


def test_a_host_without_jobs_gets_kit_alone() -> None:
    hosts = {**project_document()["hosts"], "spare": {"address": "10.0.0.13"}}
    assert wanted(hosts=hosts)["spare"] == Wanted(("kit",))


def test_a_shipped_model_is_served_without_its_training() -> None:
    jobs = {"serve": {"kind": "serve", "engine": "sglang", "model": "tiny", "hosts": ["gpu2"]}}
    found = wanted(jobs=jobs, images=["serve-sglang"])
    assert found == {"gpu1": Wanted(("kit",)), "gpu2": Wanted(("kit", "serve-sglang"), (TINY,))}


def test_an_export_elsewhere_takes_the_base_model_along() -> None:
    jobs = project_document()["jobs"]
    jobs["merge"]["hosts"] = ["gpu2"]
    jobs["train"]["hosts"] = ["gpu1"]
    assert wanted(jobs=jobs)["gpu2"] == Wanted(("kit", "train"), (TINY,))


def test_the_data_tool_needs_its_image_alone() -> None:
    jobs = {"data": {"kind": "data", "hosts": ["gpu1"]}}
    assert wanted(jobs=jobs, images=["data"])["gpu1"] == Wanted(("kit", "data"))


def test_a_bundle_that_lacks_something_is_refused_by_name(tmp_path: Any) -> None:
    manifest = ship_bundle_source(tmp_path).manifest
    with pytest.raises(ConfigError, match="image serve"):
        images_of(manifest, Wanted(("kit", "serve")))
    with pytest.raises(ConfigError, match="model other"):
        trees_in(manifest, Wanted((), (("model", "other"),)))
