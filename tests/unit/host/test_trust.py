from __future__ import annotations

from dataclasses import replace

from kit.host.known_hosts import Known
from kit.host.trust import Login, changed_key, revoked_key, unknown_key
from tests.unit.host.test_known_hosts import key

LOGIN = Login("gpu1", "10.0.0.11", 2222, "/home/me/.ssh/known_hosts")


def test_an_unknown_key_is_shown_with_the_ways_to_accept_it() -> None:
    error = unknown_key(LOGIN, key())
    text = str(error)
    assert error.exit_code == 4
    assert key().fingerprint in text
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in text
    assert "ssh-keyscan -p 2222 -t ed25519 10.0.0.11 >> /home/me/.ssh/known_hosts" in text
    assert f"hosts.gpu1.host_key: {key().line}" in text


def test_where_a_scan_would_give_another_name_the_line_itself_is_given() -> None:
    text = str(unknown_key(replace(LOGIN, known_as="rack-7"), key()))
    assert "ssh-keyscan" not in text
    assert f"echo 'rack-7 {key().line}' >> /home/me/.ssh/known_hosts" in text


def test_a_changed_key_says_so_with_both_fingerprints() -> None:
    error = changed_key(LOGIN, key(2), Known((key(1),)), "known_hosts")
    text = str(error)
    assert error.exit_code == 4
    assert "CHANGED" in text
    assert key(1).fingerprint in text
    assert key(2).fingerprint in text
    assert "ssh-keygen -f /home/me/.ssh/known_hosts -R '[10.0.0.11]:2222'" in text


def test_a_key_changed_against_kit_yaml_names_that_key() -> None:
    text = str(changed_key(LOGIN, key(2), Known((key(1),)), "hosts.gpu1.host_key"))
    assert "replace hosts.gpu1.host_key" in text
    assert "ssh-keygen -f" not in text


def test_a_revoked_key_is_refused() -> None:
    error = revoked_key(LOGIN, key())
    assert error.exit_code == 4
    assert "revoked" in str(error)
