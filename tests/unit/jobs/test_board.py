from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.project.load import parse_project
from kit.ship.wanted import trees_of
from tests.unit.jobs.launch_factories import document, file_of, gpu_document, launch_of, service_of, words_of


def _made(made: dict[str, Any] | None = None, **job: Any) -> dict[str, Any]:
    made = made or document()
    made["jobs"]["board"] = {
        "kind": "board",
        "models": ["tiny"],
        "datasets": ["questions"],
        "hosts": ["gpu1"],
        **job,
    }
    return made


def test_it_is_reached_over_the_loopback_alone() -> None:
    launch = launch_of(_made(), "board")
    assert (launch.endpoint_bind, launch.endpoint_port) == ("127.0.0.1", 7860)
    environment = service_of(launch.hosts[0])["environment"]
    assert environment["GRADIO_SERVER_NAME"] == "127.0.0.1"
    assert environment["GRADIO_SERVER_PORT"] == "7860"
    assert environment["GRADIO_SHARE"] == "0"
    assert environment["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_it_finds_models_and_datasets() -> None:
    (share,) = launch_of(_made(), "board").hosts
    described = json.loads(file_of(share, "data/dataset_info.json"))
    assert described["questions"]["file_name"] == "/kit/data/questions/questions.json"
    settings = yaml.safe_load(file_of(share, "llamaboard_cache/user_config.yaml"))
    assert settings["last_model"] == "Custom"
    assert settings["path_dict"] == {"Custom": "/kit/models/tiny"}
    assert words_of(share) == ["python3", "/kit/run/board.py"]
    assert trees_of(parse_project(_made()), "board") == (("model", "tiny"), ("dataset", "questions"))


def test_what_people_make_in_it_outlives_the_run() -> None:
    (share,) = launch_of(_made(), "board").hosts
    mounts = {mount["target"]: mount for mount in service_of(share)["volumes"]}
    assert share.kept == ("/aisys/kit/kept/board/saves", "/aisys/kit/kept/board/llamaboard_config")
    for name in ("saves", "llamaboard_config"):
        mount = mounts[f"/kit/run/{name}"]
        assert (mount["source"], mount["read_only"]) == (f"/aisys/kit/kept/board/{name}", False)
        # The engine would make the place of the mount as root.
        assert name in share.folders


def test_on_gpus_it_gets_those_of_its_host() -> None:
    service = service_of(launch_of(_made(gpu_document()), "board").hosts[0])
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == 4


@pytest.mark.parametrize(
    ("job", "key"),
    [
        ({"models": []}, "jobs.board.models"),
        ({"models": ["tiny", "small"]}, "jobs.board.models[1]"),
        ({"datasets": ["answers"]}, "jobs.board.datasets[0]"),
        ({"hosts": ["gpu1", "gpu2"]}, "jobs.board.hosts"),
        ({"model": "tiny"}, "jobs.board.model"),
    ],
)
def test_what_leads_nowhere_is_refused_by_its_key(job: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_project(_made(**job))
    assert key in str(refused.value)


@pytest.mark.parametrize("variable", ["GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME", "GRADIO_SHARE"])
def test_nothing_opens_it_wider_behind_kits_back(variable: str) -> None:
    with pytest.raises(ConfigError, match=rf"jobs\.board\.env\.{variable}"):
        launch_of(_made(env={variable: "1"}), "board")
