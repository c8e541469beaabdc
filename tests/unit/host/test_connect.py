from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.host.connect import connect
from kit.host.local_machine import LocalMachine
from tests.unit.host.factories import host_spec


def test_local_is_this_machine(tmp_path: Path) -> None:
    host = connect("here", host_spec(address="local"), tmp_path)
    assert isinstance(host, LocalMachine)
    assert host.name == "here"


def test_a_private_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hosts\.gpu1\.identity"):
        connect("gpu1", host_spec(identity="keys/gpu"), tmp_path)


def test_a_host_key_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hosts\.gpu1\.host_key"):
        connect("gpu1", host_spec(host_key="SHA256:abc"), tmp_path)


def test_an_ssh_configuration_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIT_SSH_CONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="KIT_SSH_CONFIG"):
        connect("gpu1", host_spec(), tmp_path)
