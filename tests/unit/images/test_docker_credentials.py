from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.images.docker_credentials import Login, config_file, find_login


def written(folder: Path, document: Any) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(document))
    return {"DOCKER_CONFIG": str(folder)}


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("key", ["registry.example:5000", "https://registry.example:5000/v1/"])
def test_a_login_stands_under_the_registrys_name(tmp_path: Path, key: str) -> None:
    env = written(tmp_path, {"auths": {key: auth("ann:se:cret")}})
    assert find_login("registry.example:5000", env) == Login("ann", "se:cret")
    assert find_login("registry.example", env) is None


def test_docker_hub_has_its_own_old_name(tmp_path: Path) -> None:
    env = written(tmp_path, {"auths": {"https://index.docker.io/v1/": auth("ann:secret")}})
    assert find_login("docker.io", env) == Login("ann", "secret")


def test_an_identity_token_is_taken(tmp_path: Path) -> None:
    env = written(tmp_path, {"auths": {"a.example": {**auth("ann:"), "identitytoken": "long"}}})
    assert find_login("a.example", env) == Login("ann", "", "long")


def test_without_a_configuration_there_is_no_login(tmp_path: Path) -> None:
    assert find_login("a.example", {"DOCKER_CONFIG": str(tmp_path)}) is None
    assert config_file({}).parts[-2:] == (".docker", "config.json")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"auths": {"a.example": {"auth": "no base64!"}}},
        {"credsStore": "../../bin/sh"},
        {"credHelpers": {"a.example": "x y"}},
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(tmp_path: Path, document: Any) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        find_login("a.example", written(tmp_path, document))


def test_secrets_show_in_no_message() -> None:
    assert "secret" not in repr(Login("ann", "secret", "secret"))
