"""Keys whose owner an authority certifies."""

from __future__ import annotations

from typing import Any

import pytest

from kit.errors import VerificationError
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.keys import proven_key
from kit.signature.trust import SIGNED, Rule, Trust, Verdict
from tests.unit.signature.soft_keys import KEYS, SoftKey, certified, ed25519_key, rsa_key, sshsig

MESSAGE = b"kit.json"
KEY, AUTHORITY = ed25519_key(bytes(range(32))), ed25519_key(bytes(range(1, 33)))  # they name tests
LINE = f"*@example.com,alice cert-authority {AUTHORITY.line}\n"


def verdict(key: SoftKey, lines: str = LINE, at: float = 1000.0, signers: tuple[str, ...] = ()) -> Verdict:
    rule = Rule("trust.yaml", signers=signers, signers_file="S", allowed=parse_allowed_signers(lines, "S"))
    return Trust((rule,), at).look(MESSAGE, sshsig(key, MESSAGE), "/b")


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("authority", ["ed25519", "ecdsa-256", "rsa-256", "sk-ed25519"])
def test_every_kind_of_key_is_certified_by_every_kind(kind: str, authority: str) -> None:
    key, by = KEYS[kind](), KEYS[authority]()
    found = proven_key(MESSAGE, sshsig(certified(key, by), MESSAGE))
    assert (found.type, found.blob) == (key.type, key.blob)
    assert found.certificate is not None
    assert (found.certificate.authority, found.certificate.principals) == (by.blob, ("alice",))


def test_a_certified_key_is_called_by_the_name_in_its_certificate() -> None:
    found = verdict(certified(KEY, AUTHORITY, ("nobody", "carol@example.com", "alice")))
    assert (found.status, found.signer) == (SIGNED, "carol@example.com")
    assert ", certified by SHA256:" in found.text
    found = verdict(certified(KEY, AUTHORITY, ("carol@example.com", "alice")), signers=("alice",))
    assert found.signer == "alice"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"principals": ("bob",)}, "names nobody of"),
        ({"principals": ()}, "names nobody of"),
        ({"kind": 2}, "one of a host"),
        ({"options": b"x"}, "critical options"),
        ({"valid": (1001, 2000)}, "counts from 1970-01-01T00:16:41Z on"),
        ({"valid": (0, 1000)}, "ended at 1970-01-01T00:16:40Z"),
        ({"valid": (2**64 - 1, 2**64 - 1)}, "counts from second"),
    ],
)
def test_a_certificate_that_says_something_else_does_not_count(more: dict[str, Any], why: str) -> None:
    found = verdict(certified(KEY, AUTHORITY, **more))
    assert found.status != SIGNED
    assert why in found.why


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (f"alice {AUTHORITY.line}\n", "what it signed itself only"),
        (f"alice {KEY.line}\n", "authority is not in S"),
        (f"alice cert-authority {ed25519_key().line}\n", "authority is not in S"),
        (f'alice cert-authority,namespaces="git" {AUTHORITY.line}\n', "only for git"),
        (f'alice cert-authority,valid-before="19700101Z" {AUTHORITY.line}\n', "counted until"),
    ],
)
def test_an_authority_counts_only_where_its_line_says_so(lines: str, why: str) -> None:
    found = verdict(certified(KEY, AUTHORITY), lines)
    assert found.status != SIGNED
    assert why in found.why


def test_an_authority_does_not_sign_bundles_itself() -> None:
    assert "certificates it signed only" in verdict(AUTHORITY).why


def test_a_certificate_that_its_authority_did_not_sign_is_refused() -> None:
    forged = SoftKey(AUTHORITY.type, AUTHORITY.blob, ed25519_key().sign)
    with pytest.raises(VerificationError, match="not signed by the authority"):
        proven_key(MESSAGE, sshsig(certified(KEY, forged), MESSAGE))


def test_an_authority_is_a_plain_and_strong_key() -> None:
    for authority in (rsa_key(1024), rsa_key(algorithm="ssh-rsa")):
        with pytest.raises(VerificationError):
            proven_key(MESSAGE, sshsig(certified(KEY, authority), MESSAGE))
    between = certified(ed25519_key(), AUTHORITY)
    with pytest.raises(VerificationError, match="not accepted"):
        proven_key(MESSAGE, sshsig(certified(KEY, between), MESSAGE))


def test_names_that_cannot_be_shown_are_refused() -> None:
    with pytest.raises(VerificationError, match="cannot be shown"):
        proven_key(MESSAGE, sshsig(certified(KEY, AUTHORITY, ("al\x1b[2Jice",)), MESSAGE))


def test_every_flipped_byte_of_a_certified_signature_is_refused() -> None:
    whole = sshsig(certified(KEY, AUTHORITY), MESSAGE)
    for place in range(len(whole)):
        with pytest.raises(VerificationError):
            proven_key(MESSAGE, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
