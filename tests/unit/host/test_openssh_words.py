from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kit.host.known_hosts import HostKey, find_known
from kit.host.openssh_words import LaneRoute, known_text, parse_version, ssh_words
from kit.host.ssh_way import Hop

ED25519 = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519host")
RSA = HostKey("ssh-rsa", b"\0\0\0\x07ssh-rsagate")
HOST = Hop("gpu1", "10.0.0.11", 2222, "ops", ED25519)
GATE = Hop("gate", "gate.intra", 22, "jump", RSA)


def route(*hops: Hop, own_proxy: bool = False, version: tuple[int, int] = (9, 2)) -> LaneRoute:
    return LaneRoute(
        hops=hops or (HOST,),
        known_hosts=Path("/tmp/kit known/known_hosts"),
        ssh_config=None,
        identity=None,
        own_proxy=own_proxy,
        version=version,
        ciphers=("aes128-gcm@openssh.com", "aes128-ctr"),
        connect_timeout=10,
        keepalive=10,
    )


def options(words: tuple[str, ...]) -> dict[str, str]:
    """Return the options; of one that is given twice the first counts, as for ssh."""
    found: dict[str, str] = {}
    for flag, value in pairwise(words):
        if flag == "-o":
            name, _, text = value.partition("=")
            found.setdefault(name, text)
    return found


def test_the_host_is_reached_as_the_control_connection_reached_it() -> None:
    words = ssh_words(route(), ("sh", "-c", "echo $HOME"))
    assert words[0] == "ssh"
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "ops"
    assert options(words)["HostName"] == "10.0.0.11"
    assert words[-3:] == ("--", "gpu1", "sh -c 'echo $HOME'")


def test_the_only_known_key_is_the_one_that_was_verified() -> None:
    told = options(ssh_words(route(), ("true",)))
    assert told["StrictHostKeyChecking"] == "yes"
    assert told["GlobalKnownHostsFile"] == "/dev/null"
    assert told["UserKnownHostsFile"] == '"/tmp/kit known/known_hosts"'
    assert told["KnownHostsCommand"] == "none"
    assert told["UpdateHostKeys"] == "no"
    assert told["HostKeyAlgorithms"] == "ssh-ed25519"
    assert find_known((known_text((HOST,)),), told["HostKeyAlias"]).keys == (ED25519,)


def test_an_rsa_key_is_asked_for_by_what_it_signs_with() -> None:
    told = options(ssh_words(route(replace(HOST, key=RSA)), ("true",)))
    assert told["HostKeyAlgorithms"] == "rsa-sha2-512,rsa-sha2-256"


def test_nothing_is_shared_forwarded_or_asked() -> None:
    told = options(ssh_words(route(), ("true",)))
    assert {told[name] for name in ("ControlMaster", "Compression", "ForwardAgent", "ForwardX11")} == {"no"}
    assert told["ControlPath"] == told["ProxyCommand"] == told["RemoteCommand"] == "none"
    assert told["BatchMode"] == told["ClearAllForwardings"] == "yes"
    assert told["ServerAliveInterval"] == told["ConnectTimeout"] == "10"


def test_ciphers_of_the_users_own_configuration_stay() -> None:
    assert options(ssh_words(route(), ("true",)))["Ciphers"] == "aes128-gcm@openssh.com,aes128-ctr"
    assert "Ciphers" not in options(ssh_words(replace(route(), ciphers=()), ("true",)))


def test_a_gateway_has_its_own_known_key_and_asks_nobody_either() -> None:
    path = route(GATE, HOST)
    outer = options(ssh_words(path, ("true",)))
    inner = tuple(shlex.split(outer["ProxyCommand"].replace("%%", "%")))
    told = options(inner)
    assert inner[-4:] == ("-W", "10.0.0.11:2222", "--", "gate")
    assert (told["HostName"], inner[inner.index("-l") + 1]) == ("gate.intra", "jump")
    assert told["HostKeyAlgorithms"] == "rsa-sha2-512,rsa-sha2-256"
    assert told["StrictHostKeyChecking"] == told["BatchMode"] == "yes"
    assert told["HostKeyAlias"] != outer["HostKeyAlias"]
    text = known_text(path.hops)
    assert find_known((text,), told["HostKeyAlias"]).keys == (RSA,)
    assert find_known((text,), outer["HostKeyAlias"]).keys == (ED25519,)


def test_gateways_behind_gateways_are_quoted_as_often_as_they_are_read() -> None:
    first = replace(GATE, name="first", address="fe80::1%eth0")
    words = ssh_words(route(first, replace(GATE, name="sec ond"), HOST), ("true",))
    outer = options(words)["ProxyCommand"]
    middle = tuple(shlex.split(outer.replace("%%", "%")))
    assert middle[-1] == "sec ond"
    innermost = tuple(shlex.split(options(middle)["ProxyCommand"].replace("%%", "%")))
    assert innermost[-1] == "first"
    assert options(innermost)["HostName"] == "fe80::1%%eth0"
    assert options(innermost)["ProxyCommand"] == "none"


def test_an_ipv6_address_behind_a_gateway_is_bracketed() -> None:
    words = ssh_words(route(GATE, replace(HOST, address="fd00::11")), ("true",))
    assert "-W '[fd00::11]:2222'" in options(words)["ProxyCommand"]


def test_the_users_own_proxy_command_stays() -> None:
    assert "ProxyCommand" not in options(ssh_words(route(own_proxy=True), ("true",)))


def test_a_private_key_of_kit_yaml_is_for_the_host_alone() -> None:
    path = replace(route(GATE, HOST), identity=Path("keys/ops"), ssh_config=Path("cfg"))
    words = ssh_words(path, ("true",))
    assert words[words.index("-i") + 1] == "keys/ops"
    assert options(words)["IdentitiesOnly"] == "yes"
    inner = shlex.split(options(words)["ProxyCommand"])
    assert "-i" not in inner
    assert inner[inner.index("-F") + 1] == words[words.index("-F") + 1] == "cfg"


@pytest.mark.parametrize(("version", "known"), [((7, 6), False), ((8, 4), False), ((8, 5), True)])
def test_options_wait_for_the_version_that_knows_them(version: tuple[int, int], *, known: bool) -> None:
    told = options(ssh_words(route(version=version), ("true",)))
    assert ("KnownHostsCommand" in told) == known
    assert "SessionType" not in told


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19", (9, 2)),
        ("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", (8, 1)),
        ("OpenSSH_10.0, LibreSSL 3.3.6", (10, 0)),
        ("Sun_SSH_2.4", None),
        ("", None),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version
