"""Logins for registries, out of docker's own configuration: what `docker login` left there.

Docker's order: a helper for the registry (`credHelpers`), the store for all (`credsStore`), then what
stands in the file itself (`auths`). Helpers are programs `docker-credential-NAME` that speak JSON on stdin
and stdout (docker/docker-credential-helpers). kit stores nothing of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.project.image_reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 60
_TOKEN_USER = "<token>"  # noqa: S105 - how helpers mark an identity token
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Login:
    """A user's login at a registry. Its secrets show in no message."""

    user: str
    password: str = field(repr=False, default="")
    identity_token: str = field(repr=False, default="")
    """Exchanged for a token at the authorisation server; empty when there is a password."""

    @property
    def basic(self) -> str:
        """Value of an `Authorization` header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def config_file(env: Mapping[str, str]) -> Path:
    """Return docker's configuration file, there or not."""
    folder = env.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def find_login(registry: str, env: Mapping[str, str] = os.environ) -> Login | None:
    """Return the login that docker's configuration has for a registry (`docker.io`, `HOST:PORT`).

    Raises ConfigError when the configuration cannot be read or its helper fails.
    """
    path = config_file(env)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError("docker's configuration cannot be read", where=str(path), why=str(error)) from error
    if not isinstance(document, dict):
        raise ConfigError("docker's configuration is no JSON object", where=str(path))
    helper = _entry(document.get("credHelpers"), registry) or document.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _from_helper(helper, _HUB_KEY if registry == DOCKER_HUB else registry, str(path), env)
        if found is not None:
            return found
    return _from_auths(_entry(document.get("auths"), registry), str(path))


def _host(key: str) -> str:
    """Return the registry that a key of docker's configuration stands for."""
    host = re.sub(r"^https?://", "", key).partition("/")[0]
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _entry(section: Any, registry: str) -> Any:
    if not isinstance(section, dict):
        return None
    keys = sorted((key for key in section if _host(key) == registry), key=lambda key: key != registry)
    return section[keys[0]] if keys else None


def _from_auths(entry: Any, where: str) -> Login | None:
    if not isinstance(entry, dict):
        return None
    user, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth"):
        try:
            plain = base64.b64decode(str(entry["auth"]), validate=True).decode().rstrip("\0")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ConfigError("a login that is not base64", where=where, fix="docker login") from error
        user, _, password = plain.partition(":")
    token = str(entry.get("identitytoken", ""))
    return Login(user, password, token) if user or token else None


def _from_helper(name: str, server: str, where: str, env: Mapping[str, str]) -> Login | None:
    if not _HELPER.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no credential helper", where=where, fix="correct credsStore or credHelpers"
        )
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            (program, "get"),
            input=server,
            capture_output=True,
            text=True,
            check=False,
            timeout=_HELPER_SECONDS,
            env=dict(env),
        )
    except FileNotFoundError as error:
        fix = f"install {program}, or remove it from {where} and docker login again"
        raise ConfigError(f"there is no {program}", where=where, fix=fix) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{program} does not answer", where=where, why=str(error)) from error
    if done.returncode:
        # What helpers say for a registry that they hold no login of.
        if "not found" in (done.stdout + done.stderr).lower():
            return None
        why = (done.stdout + done.stderr).strip()[-300:]
        raise ConfigError(f"{program} fails", where=where, why=why, fix=f"echo {server} | {program} get")
    return _helper_login(done.stdout, program)


def _helper_login(printed: str, program: str) -> Login | None:
    try:
        answer = json.loads(printed)
        user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{program} did not print JSON", where=program) from error
    if user == _TOKEN_USER:
        return Login("", identity_token=secret)
    return Login(user, secret) if user else None
