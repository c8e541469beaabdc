from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from kit.host.known_hosts import HostKey, Known, find_known, lookup_name, parse_fingerprint, parse_key

KIND = "ssh-ed25519"


def key(seed: int = 1, kind: str = KIND) -> HostKey:
    name = kind.encode()
    return HostKey(kind, len(name).to_bytes(4, "big") + name + bytes([seed]) * 32)


def hashed(name: str, salt: bytes = b"s" * 20) -> str:
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def test_the_fingerprint_is_the_one_that_ssh_prints() -> None:
    # Made with ssh-keygen; `ssh-keygen -lf` printed the fingerprint.
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPDD9xY3v6Z6+Sdrmp6LZVi3IV6cmGIDSGrkaAicPhzu"
    found = parse_key(line)
    assert found is not None
    assert found.fingerprint == "SHA256:TuwuAgNO93S1VC67/PgqxVWAA6X/4zDl8BFw7AwY3Kw"
    assert found.line == line


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa " + key().line.split()[1]])
def test_what_is_no_key_is_not_taken_for_one(text: str) -> None:
    assert parse_key(text) is None


def test_a_fingerprint_is_told_from_what_is_none() -> None:
    assert parse_fingerprint(f" {key().fingerprint}=\n") == key().fingerprint
    md5 = "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"
    for text in (
        "",
        "SHA256:",
        "SHA256:abc",
        key().fingerprint[:-1],
        key().fingerprint + "A",
        md5,
        key().line,
    ):
        assert parse_fingerprint(text) is None


def test_a_port_other_than_22_is_part_of_the_name() -> None:
    assert lookup_name("GPU1.example", 22) == "gpu1.example"
    assert lookup_name("gpu1", 2222) == "[gpu1]:2222"


@pytest.mark.parametrize(
    ("patterns", "name", "found"),
    [
        ("gpu1", "gpu1", True),
        ("gpu1,10.0.0.11", "10.0.0.11", True),
        ("gpu1", "gpu11", False),
        ("gpu1", "[gpu1]:2222", False),
        ("[gpu1]:2222", "[gpu1]:2222", True),
        ("*.lab,!bad.lab", "good.lab", True),
        ("*.lab,!bad.lab", "bad.lab", False),
        ("gpu?", "gpu2", True),
        ("GPU1", "gpu1", True),
        (hashed("gpu1"), "gpu1", True),
        (hashed("gpu1"), "gpu2", False),
        (hashed("[gpu1]:2222"), "[gpu1]:2222", True),
        ("|1|broken", "gpu1", False),
    ],
)
def test_names_match_as_sshd_says(patterns: str, name: str, found: bool) -> None:  # noqa: FBT001
    assert find_known((f"{patterns} {key().line} a comment\n",), name) == Known((key(),) if found else ())


def test_comments_and_torn_lines_are_passed_over() -> None:
    text = f"# gpu1 {key(9).line}\n\ngpu1\ngpu1 ssh-ed25519\ngpu1 {key().line}\n"
    assert find_known((text,), "gpu1").keys == (key(),)


def test_several_files_and_kinds_add_up() -> None:
    other = key(2, "ecdsa-sha2-nistp256")
    assert find_known((f"gpu1 {key().line}", f"gpu1 {other.line}\ngpu1 {key().line}"), "gpu1").keys == (
        key(),
        other,
    )


def test_a_revoked_key_counts_for_nothing() -> None:
    known = find_known((f"gpu1 {key().line}\n@revoked * {key().line}\n",), "gpu1")
    assert known == Known((), (key(),))


def test_a_certificate_authority_is_no_host_key() -> None:
    assert find_known((f"@cert-authority * {key().line}\n",), "gpu1") == Known(())
