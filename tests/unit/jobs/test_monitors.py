"""Trackers write into the run's folder and call nobody, unless kit.yaml names who."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.run.monitor_files import ways_to_look
from tests.unit.jobs.launch_factories import document, file_of, gpu_document, launch_of, service_of


def environment(trackers: Any, **env: str) -> dict[str, str]:
    share = launch_of(document({"args": {"report_to": trackers}, "env": env})).hosts[0]
    return dict(service_of(share)["environment"])


def test_without_trackers_nothing_is_said_of_them() -> None:
    assert not [name for name in environment("none") if name.startswith(("WANDB", "SWANLAB", "TENSORBOARD"))]


def test_every_tracker_writes_offline_into_the_runs_folder() -> None:
    share = launch_of(document({"args": {"report_to": ["tensorboard", "wandb", "swanlab"]}})).hosts[0]
    found = service_of(share)["environment"]
    assert found["TENSORBOARD_LOGGING_DIR"] == "/kit/run/monitors/tensorboard"
    assert (found["WANDB_MODE"], found["WANDB_DIR"]) == ("offline", "/kit/run/monitors")
    assert (found["SWANLAB_MODE"], found["SWANLAB_LOG_DIR"]) == ("offline", "/kit/run/monitors/swanlab")
    assert {"monitors/tensorboard", "monitors/wandb", "monitors/swanlab"} <= set(share.folders)


def test_an_older_transformers_is_told_tensorboards_folder_by_an_argument() -> None:
    old = launch_of(gpu_document({"args": {"report_to": "tensorboard"}})).hosts[0]
    assert yaml.safe_load(file_of(old, "train.yaml"))["logging_dir"] == "/kit/run/monitors/tensorboard"
    new = launch_of(document({"args": {"report_to": "tensorboard"}})).hosts[0]
    assert "logging_dir" not in yaml.safe_load(file_of(new, "train.yaml"))


@pytest.mark.parametrize(
    ("tracker", "env"),
    [
        ("wandb", {"WANDB_MODE": "online"}),
        ("swanlab", {"SWANLAB_MODE": "cloud"}),
        ("swanlab", {"SWANLAB_MODE": "local"}),
    ],
)
def test_a_server_that_nobody_names_is_refused(tracker: str, env: dict[str, str]) -> None:
    (variable,) = env
    with pytest.raises(ConfigError) as caught:
        environment(tracker, **env)
    assert caught.value.where == f"jobs.train.env.{variable}"
    assert "HTTPS_PROXY" in caught.value.fix


@pytest.mark.parametrize(
    ("tracker", "env"),
    [
        ("wandb", {"WANDB_MODE": "online", "HTTPS_PROXY": "http://10.0.0.1:3128"}),
        ("wandb", {"WANDB_MODE": "online", "WANDB_BASE_URL": "https://wandb.intranet"}),
        ("swanlab", {"SWANLAB_MODE": "cloud", "SWANLAB_API_HOST": "https://swanlab.intranet/api"}),
        ("wandb", {"WANDB_MODE": "disabled"}),
    ],
)
def test_a_server_or_proxy_that_kit_yaml_names_is_used(tracker: str, env: dict[str, str]) -> None:
    assert env.items() <= environment(tracker, **env).items()


@pytest.mark.parametrize("argument", ["use_swanlab", "swanlab_mode"])
def test_swanlabs_own_arguments_are_refused_with_what_to_say(argument: str) -> None:
    value = True if argument == "use_swanlab" else "cloud"
    with pytest.raises(ConfigError) as caught:
        launch_of(document({"args": {argument: value}}))
    assert caught.value.where == f"jobs.train.args.{argument}"
    assert "report_to: swanlab" in caught.value.fix


def test_what_came_home_is_named_with_how_to_look_at_it(tmp_path: Path) -> None:
    assert ways_to_look(tmp_path) == ()
    for path in (
        "monitors/tensorboard/events.out.tfevents.1",
        "monitors/wandb/offline-run-1/run-1.wandb",
        "monitors/swanlab/run-2/backup.swanlab",
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    place = tmp_path / "monitors"
    assert ways_to_look(tmp_path) == (
        f"tensorboard --logdir {place}/tensorboard",
        f"wandb sync {place}/wandb/offline-run-1",
        f"swanlab sync {place}/swanlab/run-2",
    )
