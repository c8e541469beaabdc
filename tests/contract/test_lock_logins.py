"""`kit lock` at a registry that wants a login: docker's configuration in each of its forms, and a mirror."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.fake_registry import FakeRegistry, running_registry
from tests.factories import debian_mirror

AUTH = base64.b64encode(b"ann:secret").decode()
HELPER = """#!/bin/sh
read server
[ "$1" = get ] && [ "$server" = {host} ] || {{ echo 'credentials not found in native keychain'; exit 1; }}
echo '{{"Username": "ann", "Secret": "secret"}}'
"""


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as found:
        found.auth, found.user = "token", ("ann", "secret")
        found.add_image("team/tool", "1.2")
        yield found


def lock(folder: Path, registry: FakeRegistry, config: dict[str, Any], mirror: Any = None) -> tuple[int, Any]:
    """Run `kit lock` with a configuration of docker's; return the exit code and what it said."""
    (folder / "config.json").write_text(json.dumps(config))
    program = folder / "docker-credential-ours"
    program.write_text(HELPER.format(host=registry.host))
    program.chmod(0o755)
    host = "registry.example" if mirror else registry.host
    document = {
        "version": 1,
        "stack": "cpu",
        "mirrors": {"apt": debian_mirror(folder), "registry": mirror},
        "images": [{"name": "my-tool", "image": f"{host}/team/tool:1.2"}],
    }
    (folder / "kit.yaml").write_text(yaml.safe_dump(document))
    env = {**os.environ, "DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}
    argv = (sys.executable, "-m", "kit", "lock", "--json", "-f", str(folder / "kit.yaml"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert "secret" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def locked(folder: Path) -> dict[str, Any]:
    images = json.loads((folder / "kit.lock").read_bytes())["images"]
    return dict({image["name"]: image for image in images}["my-tool"])


@pytest.mark.parametrize("form", ["auths", "credsStore", "credHelpers"])
def test_the_login_is_docker_s_own(tmp_path: Path, registry: FakeRegistry, form: str) -> None:
    forms = {
        "auths": {registry.host: {"auth": AUTH}},
        "credsStore": "ours",
        "credHelpers": {registry.host: "ours"},
    }
    status, said = lock(tmp_path, registry, {form: forms[form]})
    assert (status, said["pending"]) == (0, [])
    (digest,) = {digest for name, digest in registry.manifests if digest.startswith("sha256:")}
    assert locked(tmp_path)["base_digest"] == digest


def test_without_a_login_the_command_that_gives_one_is_named(tmp_path: Path, registry: FakeRegistry) -> None:
    status, said = lock(tmp_path, registry, {"credsStore": "ours", "credHelpers": {registry.host: "missing"}})
    assert (status, "there is no docker-credential-missing" in said["error"]["what"]) == (2, True)
    status, said = lock(tmp_path, registry, {})
    assert status == 2
    assert said["error"]["fix"].startswith(f"docker login {registry.host}")
    assert not (tmp_path / "kit.lock").exists()


def test_a_mirror_is_asked_with_the_mirrors_login(tmp_path: Path, registry: FakeRegistry) -> None:
    config = {"auths": {registry.host: {"auth": AUTH}}}
    mirror = {"registry.example": registry.host}
    status, said = lock(tmp_path, registry, config, mirror)
    assert (status, said["pending"]) == (0, [])
    assert locked(tmp_path)["base"] == "registry.example/team/tool:1.2"
