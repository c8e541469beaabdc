from __future__ import annotations

from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.jobs.check_arguments import argument_errors
from kit.project.load import parse_project
from kit.run.access import given_key
from kit.run.needs import makers_of
from kit.ship.wanted import trees_of
from tests.unit.jobs.launch_factories import document, file_of, gpu_document, launch_of, service_of, words_of


def _made(made: dict[str, Any] | None = None, **job: Any) -> dict[str, Any]:
    made = made or document()
    said = {"from": "train"} if not {"model", "from"} & job.keys() else {}
    made["jobs"]["api"] = {"kind": "api", "hosts": ["gpu1"], **said, **job}
    return made


def _arguments(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file_of(launch_of(made, "api").hosts[0], "api.yaml"))
    return found


def test_it_listens_where_kit_yaml_says() -> None:
    launch = launch_of(_made(bind="10.0.0.11", port=8123, served_name="notes"), "api")
    assert (launch.endpoint_bind, launch.endpoint_port, launch.served_name) == ("10.0.0.11", 8123, "notes")
    environment = service_of(launch.hosts[0])["environment"]
    assert environment["API_HOST"] == "10.0.0.11"
    assert environment["API_PORT"] == "8123"
    assert environment["API_MODEL_NAME"] == "notes"


def test_it_is_reached_over_the_loopback_unless_told_otherwise() -> None:
    launch = launch_of(_made(), "api")
    assert (launch.endpoint_bind, launch.endpoint_port, launch.served_name) == ("127.0.0.1", 8000, "train")


def test_an_adapter_stands_beside_the_model_it_was_trained_on() -> None:
    made = document({"template": "chatml", "args": {"trust_remote_code": True}})
    (share,) = launch_of(_made(made), "api").hosts
    assert yaml.safe_load(file_of(share, "api.yaml")) == {
        "model_name_or_path": "/kit/models/tiny",
        "adapter_name_or_path": "/kit/adapters/train",
        "template": "chatml",
        "finetuning_type": "lora",
        "trust_remote_code": True,
        "infer_backend": "huggingface",
    }
    mounts = {mount["target"]: mount for mount in service_of(share)["volumes"]}
    assert mounts["/kit/adapters/train"]["source"] == "/aisys/kit/runs/train/20251231-000000-0000/out"
    assert mounts["/kit/models/tiny"]["read_only"] is True
    assert words_of(share) == ["llamafactory-cli", "api", "/kit/run/api.yaml"]


def test_what_a_full_training_made_is_the_model() -> None:
    made = document({"args": {"finetuning_type": "full"}})
    found = _arguments(_made(made))
    assert found["model_name_or_path"] == "/kit/models/train"
    assert "adapter_name_or_path" not in found


def test_a_model_answers_without_a_training() -> None:
    made = _made(model="tiny", template="chatml", args={"max_new_tokens": 64})
    assert _arguments(made) == {
        "model_name_or_path": "/kit/models/tiny",
        "template": "chatml",
        "infer_backend": "huggingface",
        "max_new_tokens": 64,
    }
    project = parse_project(made)
    assert trees_of(project, "api") == (("model", "tiny"),)
    assert makers_of(project, "api") == ()


def test_what_an_export_made_answers_too() -> None:
    project = parse_project(_made(model="merge"))
    assert makers_of(project, "api") == ("merge",)
    assert trees_of(project, "api") == ()


def test_the_base_of_an_adapter_is_shipped_and_its_training_named() -> None:
    project = parse_project(_made())
    assert makers_of(project, "api") == ("train",)
    assert trees_of(project, "api") == (("model", "tiny"),)


def test_on_gpus_it_gets_those_of_its_host() -> None:
    service = service_of(launch_of(_made(gpu_document()), "api").hosts[0])
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == 4


@pytest.mark.parametrize(
    ("job", "key", "said"),
    [
        ({"model": "tiny", "from": "train"}, "jobs.api", "name one of"),
        ({"model": None}, "jobs.api", "name one of"),
        ({"model": "small"}, "jobs.api.model", "no model or export job named 'small'"),
        ({"from": "merge"}, "jobs.api.from", "no train job named 'merge'"),
        ({"template": "qwen3"}, "jobs.api.template", "the template of train holds"),
        ({"datasets": ["questions"]}, "jobs.api.datasets", ""),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_key(job: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_project(_made(**job))
    assert key in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("argument", ["infer_backend", "adapter_name_or_path", "template", "export_dir"])
def test_what_the_job_says_is_refused_in_args(argument: str) -> None:
    (error,) = argument_errors(parse_project(_made(args={argument: "x"})), "api")
    assert error.where == f"jobs.api.args.{argument}"


def test_arguments_are_those_of_the_release() -> None:
    unknown, training = argument_errors(
        parse_project(_made(args={"max_new_tokns": 1, "overwrite_output_dir": True})), "api"
    )
    assert "max_new_tokens" in unknown.fix
    assert "in a train job only" in training.what


@pytest.mark.parametrize("variable", ["API_PORT", "API_HOST", "API_MODEL_NAME"])
def test_variables_that_the_job_sets_are_refused_in_env(variable: str) -> None:
    with pytest.raises(ConfigError, match=rf"jobs\.api\.env\.{variable}"):
        launch_of(_made(env={variable: "1"}), "api")


def test_its_key_is_the_one_that_llamafactory_asks_for() -> None:
    project = parse_project(_made(env={"API_KEY": "s3cret"}))
    assert given_key(project, "api") == "s3cret"


def test_a_key_from_a_file_stands_in_no_compose_file() -> None:
    (share,) = launch_of(_made(api_key_file="key"), "api").hosts
    (secret,) = (file for file in share.files if file.is_secret)
    assert (secret.path, secret.content) == ("secret/api-key", "what stands in key")
    assert words_of(share) == [
        *("python3", "/kit/run/with_key.py", "llamafactory.cli"),
        *("api", "/kit/run/api.yaml"),
    ]
    assert "what stands in key" not in file_of(share, "compose.yaml")
    assert file_of(share, "with_key.py")


def test_a_template_that_the_release_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"jobs\.api\.template"):
        launch_of(_made(model="tiny", template="qwen33"), "api")
