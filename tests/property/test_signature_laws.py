"""Laws of signatures.

- A signature that a key made proves that key, for these bytes alone: any flipped byte in the signature
  file or in what was signed is refused.
- Whatever bytes stand in a signature file, or in the binary form within, the answer is a key or
  VerificationError, never another failure.
- Whatever stands in an allowed-signers file or in a policy, the answer is a value or ConfigError.
- A pattern of `*` and `?` matches what the shell matches.
- Keys are matched by their bytes: an entry for another key never names a signer.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import ConfigError, VerificationError
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.keys import proven_key
from kit.signature.patterns import matches
from kit.signature.policy import parse_policy
from kit.signature.sshsig import armour
from kit.signature.trust import SIGNED, Rule, Trust
from kit.signature.wire import string
from tests.unit.signature.soft_keys import KEYS, SoftKey, certified, sshsig

pytestmark = pytest.mark.property

MESSAGE = b'{"kit_bundle":2,"name":"demo"}\n'
MADE = {kind: make() for kind, make in KEYS.items()}
FILES = {kind: sshsig(key, MESSAGE) for kind, key in MADE.items()}
CERTIFIED = {kind: sshsig(certified(key, MADE["ecdsa-256"]), MESSAGE) for kind, key in MADE.items()}
kinds = st.sampled_from(sorted(KEYS))
names = st.sampled_from([key.type.encode() for key in MADE.values()] + [b"rsa-sha2-256", b"rsa-sha2-512"])
small = st.binary(max_size=80)
number = st.one_of(
    st.integers(0, 2**64), st.integers(2**2047, 2**2049 - 1), st.integers(2**2048 - 2**80, 2**2048)
).map(lambda n: n.to_bytes(n.bit_length() // 8 + 1, "big"))
part = st.one_of(small, number, st.sampled_from([b"nistp256", b"nistp384", b"nistp521", b"ssh:"]))
parts = st.lists(part, max_size=5).map(lambda found: b"".join(map(string, found)))


def prove_or_refuse(message: bytes, file: bytes) -> None:
    with suppress(VerificationError):
        proven_key(message, file)


@given(kinds, st.sampled_from([FILES, CERTIFIED]), st.data())
def test_any_flipped_bit_of_a_signature_is_refused(
    kind: str, files: dict[str, bytes], data: st.DataObject
) -> None:
    file = files[kind]
    place, bit = data.draw(st.integers(0, len(file) - 1)), data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError):
        proven_key(MESSAGE, file[:place] + bytes([file[place] ^ (1 << bit)]) + file[place + 1 :])


@given(kinds, st.sampled_from([FILES, CERTIFIED]), st.data())
def test_any_flipped_bit_inside_the_armour_is_refused(
    kind: str, files: dict[str, bytes], data: st.DataObject
) -> None:
    inside = bytearray(base64.b64decode(b"".join(files[kind].split(b"\n")[1:-2])))
    place, bit = data.draw(st.integers(0, len(inside) - 1)), data.draw(st.integers(0, 7))
    inside[place] ^= 1 << bit
    with pytest.raises(VerificationError):
        proven_key(MESSAGE, armour(bytes(inside)))


@given(kinds, st.data())
def test_any_flipped_bit_of_what_was_signed_is_refused(kind: str, data: st.DataObject) -> None:
    place, bit = data.draw(st.integers(0, len(MESSAGE) - 1)), data.draw(st.integers(0, 7))
    changed = MESSAGE[:place] + bytes([MESSAGE[place] ^ (1 << bit)]) + MESSAGE[place + 1 :]
    with pytest.raises(VerificationError):
        proven_key(changed, FILES[kind])


@given(kinds, st.binary(max_size=100))
def test_a_signature_proves_its_key_for_any_bytes(kind: str, message: bytes) -> None:
    assert proven_key(message, sshsig(MADE[kind], message)).blob == MADE[kind].blob


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(armour)))
def test_random_bytes_are_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(VerificationError):
        proven_key(MESSAGE, data)


@settings(max_examples=500)
@given(names, parts, small, names, parts, small)
def test_random_keys_and_signatures_are_refused_and_nothing_worse(
    key_type: bytes, key: bytes, key_rest: bytes, algorithm: bytes, signature: bytes, rest: bytes
) -> None:
    forged = SoftKey("", string(key_type) + key + key_rest, lambda _: string(algorithm) + signature + rest)
    prove_or_refuse(MESSAGE, sshsig(forged, MESSAGE))


@settings(max_examples=300)
@given(st.sampled_from(["rsa-sha2-256", "rsa-sha2-512"]), number, number, st.one_of(small, number))
def test_random_rsa_numbers_are_refused_and_nothing_worse(
    algorithm: str, exponent: bytes, modulus: bytes, signature: bytes
) -> None:
    blob = string(b"ssh-rsa") + string(exponent) + string(modulus)
    forged = SoftKey("", blob, lambda _: string(algorithm.encode()) + string(signature))
    prove_or_refuse(MESSAGE, sshsig(forged, MESSAGE))


@settings(max_examples=300)
@given(
    names, st.lists(st.one_of(part, small.map(string)), max_size=12), kinds, st.sampled_from([string, bytes])
)
def test_random_certificates_are_refused_and_nothing_worse(
    key_type: bytes, inside: list[bytes], kind: str, form: Callable[[bytes], bytes]
) -> None:
    title = key_type.removesuffix(b"@openssh.com") + b"-cert-v01@openssh.com"
    body = b"".join(map(form, inside))
    prove_or_refuse(MESSAGE, sshsig(SoftKey("", string(title) + body, MADE[kind].sign), MESSAGE))


words = st.sampled_from(
    ["alice@example.com", "*", "!bob", ",", '"', "\\", " ", "\t", "\n", "\r", "#", "=", "Z", "20260101"]
    + ["namespaces=", 'namespaces="kit-bundle"', "valid-after=", 'valid-before="20260101Z"', "cert-authority"]
    + [key.line for key in MADE.values()]
)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=80), st.lists(words, max_size=12).map("".join)))
def test_any_text_is_an_allowed_signers_file_or_refused(text: str) -> None:
    with suppress(ConfigError):
        parse_allowed_signers(text, "x")


yaml_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner)),
    max_leaves=6,
)
keys = st.sampled_from(["require_signature", "allowed_signers", "signers", "refuse_older", "other", 1])


@given(st.one_of(yaml_values, st.dictionaries(keys, yaml_values)))
def test_any_document_is_a_policy_or_refused(document: object) -> None:
    with suppress(ConfigError):
        parse_policy(document, "x")


@given(kinds, st.sets(kinds))
def test_a_signer_is_named_exactly_when_the_key_is_there(kind: str, listed: set[str]) -> None:
    text = "".join(f"{name}@example.com {MADE[name].line}\n" for name in sorted(listed))
    rule = Rule(signers_file="x", allowed=parse_allowed_signers(text, "x"))
    verdict = Trust((rule,)).look(MESSAGE, FILES[kind], "/b")
    assert (verdict.status == SIGNED) == (kind in listed)
    assert verdict.signer == (f"{kind}@example.com" if kind in listed else "")


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_patterns_match_as_the_shell_does(pattern: str, text: str) -> None:
    assert matches(text, pattern) == fnmatchcase(text, pattern)
