from __future__ import annotations

from dataclasses import replace

import pytest

from kit.host.known_hosts import Known
from kit.host.trust import Login, changed_key, revoked_key, unknown_key
from tests.unit.host.test_known_hosts import key

LOGIN = Login("gpu1", "10.0.0.11", 2222, "/home/me/.ssh/known_hosts", "[10.0.0.11]:2222")
GATEWAY = replace(LOGIN, host="edge", in_project=False)


def test_an_unknown_key_is_shown_with_the_ways_to_accept_it() -> None:
    error = unknown_key(LOGIN, key())
    text = str(error)
    assert error.exit_code == 4
    assert key().fingerprint in text
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in text
    assert f"echo '[10.0.0.11]:2222 {key().line}' >> /home/me/.ssh/known_hosts" in text
    assert f"hosts.gpu1.host_key: {key().fingerprint} in kit.yaml" in text


def test_an_alias_is_the_name_that_counts() -> None:
    text = str(unknown_key(replace(LOGIN, known_as="rack-7"), key()))
    assert f"echo 'rack-7 {key().line}' >> /home/me/.ssh/known_hosts" in text


def test_a_file_with_a_blank_in_its_name_is_quoted() -> None:
    text = str(unknown_key(replace(LOGIN, known_hosts="/home/my name/known"), key()))
    assert ">> '/home/my name/known'" in text


def test_a_gateway_is_accepted_in_known_hosts_alone() -> None:
    text = str(unknown_key(GATEWAY, key()))
    assert text.startswith("the gateway edge (10.0.0.11:2222)")
    assert "kit.yaml" not in text
    assert "kit.yaml" not in str(changed_key(GATEWAY, key(2), Known((key(1),)), "known_hosts"))


def test_a_changed_key_says_so_with_both_fingerprints() -> None:
    error = changed_key(LOGIN, key(2), Known((key(1),)), "known_hosts")
    text = str(error)
    assert error.exit_code == 4
    assert "CHANGED" in text
    assert key(1).fingerprint in text
    assert key(2).fingerprint in text
    assert "ssh-keygen -f /home/me/.ssh/known_hosts -R '[10.0.0.11]:2222' && echo" in text


@pytest.mark.parametrize("known", [Known((key(1),)), Known((), (), key(1).fingerprint)])
def test_a_key_changed_against_kit_yaml_is_mended_there(known: Known) -> None:
    text = str(changed_key(LOGIN, key(2), known, "hosts.gpu1.host_key"))
    assert "hosts.gpu1.host_key says " in text
    assert key(1).fingerprint in text
    assert f"only then: hosts.gpu1.host_key: {key(2).fingerprint} in kit.yaml" in text
    assert "known_hosts" not in text


def test_a_revoked_key_is_refused() -> None:
    error = revoked_key(LOGIN, key())
    assert error.exit_code == 4
    assert "revoked" in str(error)
