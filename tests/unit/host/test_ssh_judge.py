from __future__ import annotations

from typing import Any

import pytest

from kit.errors import UnreachableError
from kit.host.known_hosts import HostKey, Known
from kit.host.ssh_judge import Judge, OtherKeyError, Record
from kit.host.trust import Login
from tests.unit.host.test_known_hosts import key

LOGIN = Login("gpu1", "10.0.0.11", 22, "/known", "10.0.0.11")


class Shown:
    """A key as paramiko hands it over."""

    def __init__(self, shown: HostKey) -> None:
        self._shown = shown

    def get_name(self) -> str:
        return self._shown.kind

    def asbytes(self) -> bytes:
        return self._shown.data


def show(known: Known, shown: HostKey) -> Judge:
    judge = Judge(LOGIN, Record(known, "known_hosts"))
    judge.missing_host_key(None, "", Shown(shown))  # type: ignore[arg-type]
    return judge


@pytest.mark.parametrize("known", [Known((key(2), key(1))), Known((), (), key(1).fingerprint)])
def test_a_key_on_record_is_accepted_and_remembered(known: Known) -> None:
    assert show(known, key(1)).accepted == key(1)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (Known(()), "unknown"),
        (Known((key(2),)), "CHANGED"),
        (Known((key(1),), revoked=(key(1),)), "revoked"),
        (Known((), (key(1),), key(1).fingerprint), "revoked"),
    ],
)
def test_every_other_key_is_refused(known: Known, words: str) -> None:
    with pytest.raises(UnreachableError, match=words):
        show(known, key(1))


def test_a_fingerprint_may_be_of_another_kind_of_key_than_the_first_one_shown() -> None:
    judge = Judge(LOGIN, Record(Known((), (), key(1).fingerprint), "hosts.gpu1.host_key"))
    with pytest.raises(OtherKeyError):
        judge.missing_host_key(None, "", Shown(key(2)))  # type: ignore[arg-type]
    assert (judge.accepted, judge.unfitting) == (None, [key(2)])
    assert "hosts.gpu1.host_key says SHA256:" in str(judge.changed(key(2)))


def kinds(known: Known, *unfitting: HostKey) -> tuple[str, ...]:
    judge = Judge(LOGIN, Record(known, "known_hosts"))
    judge.unfitting.extend(unfitting)

    class Socket:
        """One that nobody reads."""

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

    transport = judge.make_transport(Socket())
    return tuple(transport.get_security_options().key_types)


def test_kinds_of_key_on_record_are_asked_for_first() -> None:
    assert kinds(Known((key(1, "ssh-rsa"),)))[:2] == ("rsa-sha2-512", "rsa-sha2-256")
    assert "ssh-ed25519" in kinds(Known((key(1, "ssh-rsa"),)))


def test_kinds_that_did_not_fit_a_fingerprint_are_not_asked_for_again() -> None:
    assert "ssh-ed25519" not in kinds(Known((), (), "SHA256:x"), key())
