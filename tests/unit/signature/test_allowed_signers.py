from __future__ import annotations

import time

import pytest

from kit.errors import ConfigError
from kit.signature.allowed_signers import AllowedSigner, parse_allowed_signers
from kit.signature.patterns import matches
from tests.unit.signature.soft_keys import ed25519_key, rsa_key

KEY = ed25519_key(bytes(range(32)))  # the same in every process: it names tests
UTC_2026 = 1767225600.0


def one(text: str) -> AllowedSigner:
    (signer,) = parse_allowed_signers(text, "signers")
    return signer


@pytest.mark.parametrize(
    "line",
    [
        f"alice@example.com {KEY.line}",
        f"alice@example.com {KEY.line} a comment of several words",
        f"  alice@example.com\t{KEY.line}\r",
        f'"alice@example.com" {KEY.line}',
        f'alice@example.com namespaces="kit-bundle" {KEY.line}',
        f'alice@example.com NameSpaces="file,kit-*",valid-after="20250101" {KEY.line} comment',
    ],
)
def test_a_line_names_whose_key_it_is(line: str) -> None:
    signer = one(line)
    assert (signer.principals, signer.key) == ("alice@example.com", KEY.blob)
    assert signer.objection(UTC_2026) == ""


def test_comments_and_empty_lines_are_passed_over() -> None:
    text = f"# alice\n\n   # indented\n\t\nalice {KEY.line}\nbob {rsa_key().line}\n"
    assert [signer.principals for signer in parse_allowed_signers(text, "x")] == ["alice", "bob"]


def test_quoted_options_may_hold_spaces_commas_and_quotes() -> None:
    signer = one(f'alice namespaces="a \\"b\\",kit-bundle, c" {KEY.line}')
    assert signer.namespaces == 'a "b",kit-bundle, c'
    assert signer.objection(0) == ""


@pytest.mark.parametrize(
    ("options", "at", "objection"),
    [
        ('namespaces="file,git"', 0, "only for file,git"),
        ('namespaces="*,!kit-bundle"', 0, "namespace kit-bundle"),
        ('namespaces=""', 0, "namespace kit-bundle"),
        ('valid-after="20260101Z"', UTC_2026 - 1, "from 2026-01-01T00:00:00Z"),
        ('valid-after="20260101Z"', UTC_2026, ""),
        ('valid-before="20260101Z"', UTC_2026, ""),
        ('valid-before="20260101Z"', UTC_2026 + 1, "until 2026-01-01T00:00:00Z"),
        ('valid-before="202601010130Z"', UTC_2026 + 5401, "01:30:00"),
        ('valid-before="20260101013015Z"', UTC_2026 + 5416, "01:30:15"),
        ('valid-after="20260101Z",valid-before="20260201Z"', UTC_2026 + 1, ""),
    ],
)
def test_options_say_for_what_and_when_a_key_counts(options: str, at: float, objection: str) -> None:
    found = one(f"alice {options} {KEY.line}").objection(at)
    assert objection in found
    assert bool(found) == bool(objection)


@pytest.mark.parametrize("options", ["cert-authority", 'Cert-Authority,namespaces="kit-bundle"'])
def test_an_authority_is_told_apart(options: str) -> None:
    assert one(f"alice {options} {KEY.line}").is_authority
    assert not one(f"alice {KEY.line}").is_authority


def test_a_time_without_z_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert one(f'alice valid-after="20260101" {KEY.line}').valid_after == UTC_2026 - 8 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("alice", "no key type"),
        (KEY.line, "no key type"),
        (f"alice {KEY.line[:-6]}!!", "no key type"),
        (f"alice ssh-rsa {KEY.line.split()[1]}", "no key type"),
        (f"alice colour=blue {KEY.line}", "not known"),
        (f"alice namespaces=file {KEY.line}", "not known"),
        (f'alice namespaces="file", {KEY.line}', "not known"),
        (f'alice namespaces="file"valid-after="20260101" {KEY.line}', "no comma"),
        (f'alice namespaces="a",namespaces="b" {KEY.line}', "twice"),
        (f'alice namespaces="a {KEY.line}', "quote"),
        (f'"alice {KEY.line}', "quote"),
        (f'alice valid-after="2026" {KEY.line}', "no time"),
        (f'alice valid-after="20261301" {KEY.line}', "no time"),
        (f'alice valid-after="" {KEY.line}', "no time"),
        (f"a\x1b[2Jlice {KEY.line}", "shown"),
        (f'"" {KEY.line}', "shown"),
        (f'alice namespaces="\x1b" {KEY.line}', "shown"),
    ],
)
def test_a_line_that_says_something_else_is_refused_by_its_number(line: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        parse_allowed_signers(f"# first\n{line}\n", "/etc/signers")
    assert caught.value.where.startswith("/etc/signers:2")


@pytest.mark.parametrize(
    ("text", "patterns", "expected"),
    [
        ("alice", "alice", True),
        ("alice", "bob,alice", True),
        ("alice", "ali?e", True),
        ("alice@example.com", "*@example.com", True),
        ("alice@example.com", "*@example.com,!alice@*", False),
        ("alice@example.com", "!alice@*,*@example.com", False),
        ("bob", "!alice", False),
        ("Alice", "alice", False),
        ("alice2", "alice", False),
        ("a.c", "abc", False),
        ("", "", True),
        ("a" * 60, "*a" * 20 + "b", False),
    ],
)
def test_pattern_lists_are_those_of_ssh(text: str, patterns: str, *, expected: bool) -> None:
    assert matches(text, patterns) is expected
