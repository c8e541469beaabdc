"""Laws of reaching hosts: any SSH configuration gives hops or a ConfigError; nothing else is raised.

A fingerprint is what ssh-keygen prints, and no other text is one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kit.errors import ConfigError
from kit.host.known_hosts import HostKey, parse_fingerprint
from kit.host.ssh_reach import legs_of
from kit.host.ssh_way import Way

pytestmark = pytest.mark.property

KEYWORDS = (
    *("Host", "Match", "HostName", "User", "Port", "IdentityFile", "ProxyJump", "ProxyCommand", "Include"),
    *("IdentitiesOnly", "HostKeyAlias", "PreferredAuthentications", "UserKnownHostsFile", "ForwardAgent"),
    *("GlobalKnownHostsFile", "ConnectTimeout", "PasswordAuthentication"),
)
VALUES = (
    *("*", "node", "host", "!node", "final", "canonical", "all", "none", "yes", "no", "a,b", "me@a:22"),
    *("ssh://a:22", "a@b@c:x", ":22", "[::1]:22", "%h", "%p", "~/x", "config", "10s", "::1", "22", '"a'),
)
line = st.builds(
    "{}{}{}\n".format,
    st.sampled_from(KEYWORDS),
    st.sampled_from([" ", "=", "\t", ""]),
    st.one_of(st.sampled_from(VALUES), st.text(max_size=8)),
)


# A busy machine is no slow law.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(line, max_size=8))
@example(["UserKnownHostsFile \0\n"])
@example(["Match host\n"])
@example(["Host *\n", "ProxyJump node,other\n"])
@example(["ProxyJump :22\n"])
def test_every_configuration_gives_hops_or_a_config_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir(exist_ok=True)
    (tmp_path / ".ssh/config").write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
    try:
        legs = legs_of(Way("gpu1", "node", ssh_config=tmp_path / ".ssh/config"))
    except ConfigError:
        return
    assert legs[-1].connection.original_host == "node"
    assert not any(leg.connection.forward_agent for leg in legs)


@given(st.binary())
def test_a_fingerprint_is_read_as_it_is_printed(data: bytes) -> None:
    printed = HostKey("ssh-ed25519", data).fingerprint
    assert parse_fingerprint(printed) == printed


@given(st.text())
def test_what_is_taken_for_a_fingerprint_has_its_form(text: str) -> None:
    found = parse_fingerprint(text)
    assert found is None or (found.startswith("SHA256:") and len(found) == len("SHA256:") + 43)
