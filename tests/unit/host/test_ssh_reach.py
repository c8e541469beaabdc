from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.host.ssh_reach import legs_of
from kit.host.ssh_way import Way


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a way by an SSH configuration's text."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(text: str, **fields: Any) -> Way:
        (tmp_path / "config").write_text(text)
        return Way(**{"name": "gpu1", "address": "node", "ssh_config": tmp_path / "config", **fields})

    return make


def places(way: Way) -> list[str]:
    """Return `user@address:port` of each hop, the host itself last."""
    there = [leg.connection for leg in legs_of(way)]
    return [f"{hop.user}@{hop.host}:{hop.port}" for hop in there]


def test_the_configuration_says_where_a_name_is(way: Any) -> None:
    made = way("Host node\n HostName 10.0.0.11\n User ops\n Port 2222\n")
    assert places(made) == ["ops@10.0.0.11:2222"]


def test_kit_yaml_goes_before_the_configuration(way: Any) -> None:
    made = way("Host node\n User ops\n Port 2222\n ProxyCommand nc %r %h %p\n", user="me", port=22022)
    assert places(made) == ["me@node:22022"]
    assert legs_of(made)[0].connection.gateway == "nc me node 22022"


def test_gateways_are_gone_through_in_the_order_of_proxyjump(way: Any) -> None:
    made = way("User ops\nHost node\n ProxyJump root@near:2222,far\nHost far\n HostName 10.9.9.9\n")
    assert places(made) == ["root@near:2222", "ops@10.9.9.9:22", "ops@node:22"]


def test_a_gateway_may_have_a_gateway_of_its_own(way: Any) -> None:
    made = way("User ops\nHost node\n ProxyJump ssh://near\nHost near\n ProxyJump edge\n")
    assert places(made) == ["ops@edge:22", "ops@near:22", "ops@node:22"]


def test_a_gateway_for_everybody_is_not_its_own(way: Any) -> None:
    assert places(way("User ops\nHost *\n ProxyJump edge\n")) == ["ops@edge:22", "ops@node:22"]


@pytest.mark.parametrize("text", ["ProxyJump none\n", "ProxyCommand none\n", "ForwardAgent $SOCK\n"])
def test_no_gateway_is_none(way: Any, text: str) -> None:
    leg = legs_of(way(f"User ops\nHost node\n {text}"))[0]
    assert (leg.connection.gateway, leg.connection.forward_agent) == (False, False)


def test_the_key_of_kit_yaml_is_for_the_host_and_not_for_its_gateways(way: Any, tmp_path: Path) -> None:
    made = way(
        "IdentityFile ~/lab\nIdentityFile none\nHost node\n ProxyJump near\n", identity=tmp_path / "own"
    )
    near, node = (leg.login._account.identities for leg in legs_of(made))
    assert (near, node) == ((tmp_path / "lab",), (tmp_path / "own", tmp_path / "lab"))


def test_logins_that_the_configuration_turns_off_are_off(way: Any) -> None:
    made = way("PasswordAuthentication no\nPreferredAuthentications password,publickey\n")
    assert legs_of(made)[0].login._account.methods == ("publickey",)


@pytest.mark.parametrize("address", ["two words", "gpu*", "a\nProxyCommand evil"])
def test_an_address_that_would_mean_more_to_ssh_is_refused(way: Any, address: str) -> None:
    with pytest.raises(ConfigError, match=r"hosts\.gpu1\.address"):
        legs_of(way("", address=address))


def test_a_user_that_would_mean_more_to_ssh_is_refused(way: Any) -> None:
    with pytest.raises(ConfigError, match=r"hosts\.gpu1\.user"):
        legs_of(way("", user="ops\nProxyCommand evil"))


def test_a_configuration_without_any_known_hosts_file_is_no_bug(way: Any) -> None:
    assert legs_of(way("UserKnownHostsFile none\nGlobalKnownHostsFile none\n"))
