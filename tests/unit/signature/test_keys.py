from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from kit.errors import VerificationError
from kit.signature.keys import proven_key
from kit.signature.sshsig import armour
from kit.signature.wire import string
from tests.unit.signature.soft_keys import KEYS, SoftKey, ed25519_key, rsa_key, sshsig

MESSAGE = b'{"kit_bundle":2}\n'
VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_every_kind_of_key_proves_its_signature(kind: str, hash_name: str) -> None:
    key = KEYS[kind]()
    found = proven_key(MESSAGE, sshsig(key, MESSAGE, hash_name=hash_name))
    assert (found.type, found.blob) == (key.type, key.blob)


@pytest.mark.parametrize("name", VECTORS)
def test_signatures_that_ssh_keygen_made_or_verified_are_proven(name: str) -> None:
    # Those of security keys (sk-…) were made in memory, since no such key was at hand.
    vector = VECTORS[name]
    found = proven_key(vector["message"].encode(), vector["signature"].encode())
    assert found.fingerprint == vector["fingerprint"]
    assert f"{found.type} {base64.b64encode(found.blob).decode()}" == vector["key"]


@pytest.mark.parametrize("kind", KEYS)
def test_another_message_is_refused(kind: str) -> None:
    with pytest.raises(VerificationError, match="not what was signed"):
        proven_key(MESSAGE + b" ", sshsig(KEYS[kind](), MESSAGE))


@pytest.mark.parametrize("kind", KEYS)
def test_another_key_of_the_kind_is_refused(kind: str) -> None:
    mine, other = KEYS[kind](), KEYS[kind]()
    if mine.blob == other.blob:
        other = rsa_key(3072)
    with pytest.raises(VerificationError, match="not what was signed"):
        proven_key(MESSAGE, sshsig(SoftKey(mine.type, other.blob, mine.sign), MESSAGE))


@pytest.mark.parametrize("kind", KEYS)
def test_every_flipped_byte_of_the_file_is_refused(kind: str) -> None:
    whole = sshsig(KEYS[kind](), MESSAGE)
    for place in range(len(whole)):
        for bit in (0x01, 0x20):
            changed = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
            with pytest.raises(VerificationError):
                proven_key(MESSAGE, changed)


@pytest.mark.parametrize("namespace", [b"file", b"git", b"", b"kit-bundle2", b"\xff\x1b[2J"])
def test_a_signature_for_something_else_is_refused(namespace: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        proven_key(MESSAGE, sshsig(ed25519_key(), MESSAGE, namespace=namespace))
    assert "namespace" in caught.value.why
    assert caught.value.why.isprintable()


def test_sha_1_is_refused_wherever_it_appears() -> None:
    with pytest.raises(VerificationError, match="SHA-1"):
        proven_key(MESSAGE, sshsig(rsa_key(algorithm="ssh-rsa"), MESSAGE))
    with pytest.raises(VerificationError, match="sha1"):
        proven_key(MESSAGE, sshsig(ed25519_key(), MESSAGE, hash_name="sha1"))


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(VerificationError, match="1024 bits"):
        proven_key(MESSAGE, sshsig(rsa_key(1024), MESSAGE))


def test_reserved_bytes_and_other_versions_are_refused() -> None:
    with pytest.raises(VerificationError, match="reserved"):
        proven_key(MESSAGE, sshsig(ed25519_key(), MESSAGE, reserved=b"x"))
    with pytest.raises(VerificationError, match="version 1"):
        proven_key(MESSAGE, sshsig(ed25519_key(), MESSAGE, version=2))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        (b"ssh-ed25519-cert-v01@openssh.com", "certificate"),
        (b"ssh-dss", "ssh-dss"),
        (b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "webauthn"),
        (b"", "not accepted"),
    ],
)
def test_kinds_that_are_not_accepted_are_named(name: bytes, word: str) -> None:
    key = SoftKey("", string(name) + string(b"x" * 32), lambda _: string(name) + string(b"y" * 64))
    with pytest.raises(VerificationError, match=word):
        proven_key(MESSAGE, sshsig(key, MESSAGE))


def test_a_key_of_another_kind_than_the_signature_is_refused() -> None:
    key, rsa = ed25519_key(), rsa_key()
    for blob, sign in ((key.blob, rsa.sign), (rsa.blob, key.sign)):
        with pytest.raises(VerificationError, match="not accepted"):
            proven_key(MESSAGE, sshsig(SoftKey("", blob, sign), MESSAGE))


@pytest.mark.parametrize(
    "key",
    [
        string(b"ssh-ed25519") + string(b"x" * 31),
        string(b"sk-ssh-ed25519@openssh.com") + string(b"x" * 33) + string(b"ssh:"),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + string(b"\x04" + b"x" * 64),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\x02" + b"x" * 32),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\x04" + b"x" * 64),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b""),
        string(b"ssh-rsa") + string(b"\x01\x00\x01") + string(b"\x00" + b"\xff" * 255 + b"\xfe"),
        string(b"ssh-rsa") + string(b"\x02") + string(b"\x00" + b"\xff" * 256),
        string(b"ssh-rsa") + string(b"\x00\x01\x00\x01") + string(b"\x00" + b"\xff" * 256),
        string(b"ssh-rsa") + string(b"\xff") + string(b"\x00" + b"\xff" * 256),
        string(b"ssh-rsa") + string(b"") + string(b"\x00" + b"\xff" * 256),
        string(b"ssh-rsa") + string(b"\x01\x00\x01") + string(b"\x00" + b"\xff" * 2049),
    ],
)
def test_keys_that_are_none_are_refused(key: bytes) -> None:
    name = key[4 : 4 + key[3]]
    algorithm = b"rsa-sha2-512" if name == b"ssh-rsa" else name
    value = string(b"\x01") * 2 if b"ecdsa" in name else b"y" * 64
    forged = SoftKey(
        "", key, lambda _: string(algorithm) + string(value) + b"\x01\0\0\0\0" * (b"sk-" in name)
    )
    with pytest.raises(VerificationError):
        proven_key(MESSAGE, sshsig(forged, MESSAGE))


def test_a_signature_of_a_wrong_size_is_refused() -> None:
    key, rsa = ed25519_key(), rsa_key()
    with pytest.raises(VerificationError, match="wrong size"):
        proven_key(
            MESSAGE, sshsig(SoftKey("", key.blob, lambda _: string(b"ssh-ed25519") + string(b"")), MESSAGE)
        )
    longer = SoftKey("", rsa.blob, lambda _: string(b"rsa-sha2-512") + string(b"x" * 257))
    with pytest.raises(VerificationError, match="longer than its key"):
        proven_key(MESSAGE, sshsig(longer, MESSAGE))


def test_other_lines_than_the_usual_ones_are_refused() -> None:
    usual = sshsig(ed25519_key(), MESSAGE)
    begin, *middle, end, _ = usual.split(b"\n")
    data = base64.b64decode(b"".join(middle))
    assert proven_key(MESSAGE, armour(data, 64)).type == "ssh-ed25519"
    for changed in (
        usual.replace(b"\n", b"\r\n"),
        usual[:-1],
        usual + b"\n",
        b"\n" + usual,
        b"\n".join([begin, *middle[:-1], middle[-1] + b" ", end, b""]),
        b"\n".join([begin, b"".join(middle), end, b""]),
        b"\n".join([begin, b"", *middle, end, b""]),
        b"\n".join([begin, end, b""]),
        b"",
        armour(data + b"x"),
        armour(data[:-1]),
        armour(data[:20]),
    ):
        with pytest.raises(VerificationError):
            proven_key(MESSAGE, changed)


def test_the_fingerprint_is_the_one_that_ssh_shows() -> None:
    key = proven_key(MESSAGE, sshsig(ed25519_key(), MESSAGE))
    assert key.fingerprint.startswith("SHA256:")
    assert len(key.fingerprint) == 50
