from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kit.errors import VerificationError
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.trust import SIGNED, UNKNOWN, UNSIGNED, Rule, Trust, Verdict
from tests.unit.signature.soft_keys import ed25519_key, sshsig

MESSAGE = b"kit.json"
ALICE, BOB, MALLORY = ed25519_key(), ed25519_key(), ed25519_key()
LINES = f'alice@example.com,al {ALICE.line}\nbob@example.com valid-before="20260101Z" {BOB.line}\n'


def rule(**overrides: Any) -> Rule:
    allowed = parse_allowed_signers(LINES, "/etc/signers")
    return replace(Rule("/etc/trust.yaml", signers_file="/etc/signers", allowed=allowed), **overrides)


def judge(signature: bytes | None, *rules: Rule, at: float = 0.0) -> Verdict:
    return Trust(rules, at).judge(MESSAGE, signature, "/b")


def test_without_a_policy_everything_is_called_what_it_is() -> None:
    assert judge(None).status == UNSIGNED
    assert judge(None).text == "unsigned"
    verdict = judge(sshsig(ALICE, MESSAGE))
    assert (verdict.status, verdict.signer) == (UNKNOWN, "")
    assert "unknown key (ssh-ed25519 SHA256:" in verdict.text


def test_without_a_policy_a_signature_of_other_bytes_is_refused() -> None:
    with pytest.raises(VerificationError, match="not what was signed") as caught:
        judge(sshsig(ALICE, b"other bytes"))
    assert caught.value.where == "/b: kit.json.sig"


def test_a_known_signer_is_named() -> None:
    verdict = judge(sshsig(ALICE, MESSAGE), rule())
    assert (verdict.status, verdict.signer, verdict.why) == (SIGNED, "alice@example.com,al", "")
    assert verdict.text.startswith("signed by alice@example.com,al (ssh-ed25519 SHA256:")


def test_of_several_principals_the_one_that_the_policy_names_is_shown() -> None:
    verdict = judge(sshsig(ALICE, MESSAGE), rule(signers=("carol", "al")))
    assert verdict.signer == "al"


@pytest.mark.parametrize("signature", [None, sshsig(MALLORY, MESSAGE)])
def test_a_policy_that_demands_nothing_only_tells(signature: bytes | None) -> None:
    assert judge(signature, rule()).status in (UNSIGNED, UNKNOWN)


def test_what_a_policy_demands_is_refused_otherwise() -> None:
    strict = rule(require_signature=True)
    assert judge(sshsig(ALICE, MESSAGE), strict).status == SIGNED
    with pytest.raises(VerificationError, match="unsigned") as caught:
        judge(None, strict)
    assert "/etc/trust.yaml" in caught.value.why
    with pytest.raises(VerificationError, match="unknown key") as caught:
        judge(sshsig(MALLORY, MESSAGE), strict)
    assert "not in /etc/signers" in caught.value.why


def test_a_signer_whom_the_policy_does_not_name_is_refused() -> None:
    with pytest.raises(VerificationError, match="not among the signers"):
        judge(sshsig(ALICE, MESSAGE), rule(require_signature=True, signers=("bob@example.com",)))


def test_a_key_counts_only_while_its_line_says_so() -> None:
    signature = sshsig(BOB, MESSAGE)
    assert judge(signature, rule(), at=1767225600.0).status == SIGNED
    late = judge(signature, rule(), at=1767225601.0)
    assert (late.status, "until 2026-01-01" in late.why) == (UNKNOWN, True)


def test_a_key_that_stands_on_two_lines_counts_by_either() -> None:
    lines = f'alice namespaces="git" {ALICE.line}\nalice {ALICE.line}\n'
    double = replace(rule(), allowed=parse_allowed_signers(lines, "x"))
    assert judge(sshsig(ALICE, MESSAGE), double).status == SIGNED


def test_of_two_policies_each_is_obeyed() -> None:
    strict, lax = rule(require_signature=True, signers=("bob@example.com",)), rule()
    for order in ((strict, lax), (lax, strict)):
        with pytest.raises(VerificationError):
            judge(sshsig(ALICE, MESSAGE), *order)
        assert judge(sshsig(BOB, MESSAGE), *order).signer.startswith("bob")
        # Looking demands nothing, and tells what any of them knows.
        assert Trust(order).look(MESSAGE, sshsig(ALICE, MESSAGE), "/b").status == SIGNED


def test_an_older_bundle_is_refused_when_any_policy_says_so() -> None:
    assert not Trust((rule(),)).refuses_older
    assert Trust((rule(), rule(refuse_older=True))).refuses_older
