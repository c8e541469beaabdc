"""Signatures go both ways between kit and the real ssh-keygen."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.bundle.source import open_bundle
from kit.errors import ConfigError, VerificationError
from kit.project.lock import write_lock
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.keys import proven_key
from kit.signature.ssh_keygen import ssh_keygen_signer
from kit.signature.trust import SIGNED, Rule, Trust
from tests.factories import project_document
from tests.unit.bundle.factories import packed_bundle
from tests.unit.signature.soft_keys import KEYS, SoftKey, certified, ed25519_key, rsa_key, sshsig

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's client is not here")

MESSAGE = b'{"kit_bundle":2,"name":"demo"}\n'
MADE = {
    "ed25519": ("-t", "ed25519"),
    "ecdsa-256": ("-t", "ecdsa", "-b", "256"),
    "ecdsa-384": ("-t", "ecdsa", "-b", "384"),
    "ecdsa-521": ("-t", "ecdsa", "-b", "521"),
    "rsa": ("-t", "rsa", "-b", "2048"),  # larger ones take seconds to make
}


def ssh_keygen(*words: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["ssh-keygen", *map(str, words)], input=data, capture_output=True, check=False, timeout=60
    )


def make_key(path: Path, *words: str, passphrase: str = "") -> Path:
    done = ssh_keygen("-q", "-N", passphrase, "-C", "test", "-f", path, *words)
    assert done.returncode == 0, done.stderr
    return path


@dataclass(frozen=True)
class Asked:
    """ssh-keygen's own answer."""

    folder: Path

    def verify(self, signature: bytes, message: bytes, signers: str, name: str = "alice") -> bool:
        (self.folder / "s.sig").write_bytes(signature)
        (self.folder / "signers").write_text(signers)
        words = ("-Y", "verify", "-n", "kit-bundle", "-I", name)
        files = ("-f", self.folder / "signers", "-s", self.folder / "s.sig")
        return ssh_keygen(*words, *files, data=message).returncode == 0

    def check_novalidate(self, signature: bytes, message: bytes) -> bool:
        (self.folder / "s.sig").write_bytes(signature)
        words = ("-Y", "check-novalidate", "-n", "kit-bundle", "-s", self.folder / "s.sig")
        return ssh_keygen(*words, data=message).returncode == 0


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def kit_knows(signature: bytes, message: bytes, signers: str, name: str = "alice") -> bool:
    """Return what kit says to the question that `Asked.verify` asks."""
    try:
        allowed = parse_allowed_signers(signers, "signers")
        rule = Rule(signers=(name,), signers_file="signers", allowed=allowed)
        return Trust((rule,), time.time()).look(message, signature, "/b").status == SIGNED
    except (VerificationError, ConfigError):
        return False


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", MADE)
def test_kit_proves_what_ssh_keygen_signed(tmp_path: Path, kind: str, hash_name: str) -> None:
    key = make_key(tmp_path / "key", *MADE[kind])
    (tmp_path / "kit.json").write_bytes(MESSAGE)
    words = ("-Y", "sign", "-n", "kit-bundle", "-O", f"hashalg={hash_name}", "-f", key)
    assert ssh_keygen(*words, tmp_path / "kit.json").returncode == 0
    signature = (tmp_path / "kit.json.sig").read_bytes()
    fingerprint = ssh_keygen("-lf", f"{key}.pub").stdout.decode().split()[1]
    assert proven_key(MESSAGE, signature).fingerprint == fingerprint
    with pytest.raises(VerificationError):
        proven_key(MESSAGE + b" ", signature)


@pytest.mark.parametrize("kind", MADE)
def test_ssh_keygen_verifies_what_kit_had_signed(tmp_path: Path, asked: Asked, kind: str) -> None:
    key = make_key(tmp_path / "key", *MADE[kind])
    signature = ssh_keygen_signer(key)(MESSAGE)
    signers = f'alice namespaces="kit-bundle" {Path(f"{key}.pub").read_text()}'
    assert asked.verify(signature, MESSAGE, signers)
    assert asked.check_novalidate(signature, MESSAGE)
    assert kit_knows(signature, MESSAGE, signers)
    assert not asked.verify(signature, MESSAGE + b" ", signers)


@pytest.mark.parametrize("kind", KEYS)
def test_ssh_keygen_agrees_on_every_kind_of_key(asked: Asked, kind: str) -> None:
    # Security keys among them: the same bytes that a touched one would give, made in memory.
    key = KEYS[kind]()
    signature = sshsig(key, MESSAGE)
    assert asked.verify(signature, MESSAGE, f"alice {key.line}\n")
    assert kit_knows(signature, MESSAGE, f"alice {key.line}\n")
    assert asked.check_novalidate(signature, MESSAGE)


def test_ssh_keygen_refuses_with_kit(asked: Asked) -> None:
    key = ed25519_key()
    line = f"alice {key.line}\n"
    other = KEYS["sk-ed25519"]()
    touched = sshsig(other, MESSAGE)
    for signature, signers in (
        (sshsig(key, MESSAGE, namespace=b"file"), line),
        (sshsig(key, MESSAGE, hash_name="sha1"), line),
        (sshsig(key, MESSAGE, version=2), line),
        (sshsig(key, b"other"), line),
        (sshsig(rsa_key(algorithm="ssh-rsa"), MESSAGE), f"alice {rsa_key(algorithm='ssh-rsa').line}\n"),
        (sshsig(SoftKey(key.type, ed25519_key().blob, key.sign), MESSAGE), line),
        (touched, f"alice {KEYS['sk-ed25519']().line}\n"),
    ):
        assert not asked.verify(signature, MESSAGE, signers)
        assert not kit_knows(signature, MESSAGE, signers)


KEY = ed25519_key(bytes(range(32)))
SIGNATURE = sshsig(KEY, MESSAGE)
LINES = (
    f"alice {KEY.line}",
    f"alice {KEY.line} a comment",
    f"  alice\t{KEY.line}\r",
    f'"alice" {KEY.line}',
    f'"alice,bob" {KEY.line}',
    f"bob,alice {KEY.line}",
    f"al?ce {KEY.line}",
    f"* {KEY.line}",
    f"*,!alice {KEY.line}",
    f"!alice,* {KEY.line}",
    f"!bob {KEY.line}",
    f"Alice {KEY.line}",
    f"bob {KEY.line}\nalice {KEY.line}",
    f"# note\n\n  # note\nalice {KEY.line}",
    f'alice namespaces="kit-bundle" {KEY.line}',
    f'alice NAMESPACES="kit-*" {KEY.line}',
    f'alice namespaces="file" {KEY.line}',
    f'alice namespaces="*,!kit-bundle" {KEY.line}',
    f'alice namespaces="a \\"b\\",kit-bundle" {KEY.line}',
    f'alice namespaces="a,namespaces=b",namespaces="kit-bundle" {KEY.line}',
    f'alice namespaces="kit-bundle {KEY.line}',
    f"alice namespaces=kit-bundle {KEY.line}",
    f'alice valid-after="20200101" {KEY.line}',
    f'alice valid-after="20990101Z" {KEY.line}',
    f'alice valid-before="20200101Z" {KEY.line}',
    f'alice valid-before="209901011200Z" {KEY.line}',
    f'alice valid-before="20990101120000" {KEY.line}',
    f'alice valid-after="20200101Z",valid-before="20990101Z",namespaces="kit-bundle" {KEY.line}',
    f'alice valid-after="2020" {KEY.line}',
    f'alice valid-after="20201301" {KEY.line}',
    f"alice cert-authority {KEY.line}",
    f"alice cert-authority {KEY.line}\nalice {KEY.line}",
    f"alice colour=blue {KEY.line}",
    f'alice namespaces="kit-bundle", {KEY.line}',
    f"alice {ed25519_key(bytes(32)).line}",
    f"alice ssh-rsa {KEY.line.split()[1]}",
    "alice",
    KEY.line,
    "",
)


@pytest.mark.parametrize("lines", LINES)
def test_an_allowed_signers_file_means_the_same_to_both(asked: Asked, lines: str) -> None:
    assert kit_knows(SIGNATURE, MESSAGE, lines + "\n") == asked.verify(SIGNATURE, MESSAGE, lines + "\n")


# Keys that are not in a plain file.


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent of this test's own."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.usefixtures("agent")
def test_the_agent_signs_for_a_public_key(tmp_path: Path, asked: Asked) -> None:
    key = make_key(tmp_path / "key", "-t", "ed25519")
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
    key.unlink()
    signature = ssh_keygen_signer(tmp_path / "key.pub")(MESSAGE)
    assert asked.verify(signature, MESSAGE, f"alice {(tmp_path / 'key.pub').read_text()}")


def test_a_public_key_whose_secret_is_nowhere_does_not_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    make_key(tmp_path / "key", "-t", "ed25519").unlink()
    with pytest.raises(ConfigError, match="did not sign"):
        ssh_keygen_signer(tmp_path / "key.pub")(MESSAGE)


def test_ssh_keygen_itself_asks_for_a_passphrase(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(tmp_path / "key", "-t", "ed25519", passphrase="open sesame")
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho 'open sesame'\n")
    askpass.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(askpass))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    signature = ssh_keygen_signer(key)(MESSAGE)
    assert asked.verify(signature, MESSAGE, f"alice {Path(f'{key}.pub').read_text()}")


def test_kit_bundle_signs_with_a_key_and_ssh_keygen_verifies_it(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from typer.testing import CliRunner

    from kit.cli.main import app
    from kit.workflow import make_bundle
    from tests.unit.workflow import test_make_bundle as project

    key = make_key(tmp_path / "key", "-t", "ed25519")
    (tmp_path / "kit.yaml").write_text(json.dumps(project_document(images=[], jobs={})))
    write_lock(tmp_path / "kit.lock", project.lock_for(project.loaded(tmp_path)))
    # No engine and no hub are here; the signer is the real one.
    monkeypatch.setattr(make_bundle, "real_tools", lambda sign: replace(project.tools(tmp_path), sign=sign))
    for form in ("bundle", "crossing.tar"):
        words = ["bundle", "--sign", str(key), "-o", str(tmp_path / form), "-f", str(tmp_path / "kit.yaml")]
        found = CliRunner().invoke(app, [*words, "--json"])
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["signature"]["status"] == "unknown"
        source = open_bundle(tmp_path / form)
        signers = f"alice {Path(f'{key}.pub').read_text()}"
        assert source.signature_bytes
        assert asked.verify(source.signature_bytes, source.manifest_bytes, signers)


def test_a_key_too_short_is_refused_as_it_signs(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", "-t", "rsa", "-b", "1024")
    with pytest.raises(ConfigError, match=r"1024 bits|did not sign"):
        ssh_keygen_signer(key)(MESSAGE)


CERTIFIED = (
    (("-n", "alice"), "alice cert-authority", True),
    (("-n", "bob,alice"), "alice cert-authority", True),
    (("-n", "alice"), "* cert-authority", True),
    (("-n", "alice"), 'alice cert-authority,namespaces="kit-bundle"', True),
    (("-n", "alice"), 'alice cert-authority,namespaces="git"', False),
    (("-n", "alice"), 'alice cert-authority,valid-before="20200101"', False),
    (("-n", "alice"), "bob cert-authority", False),
    (("-n", "alice"), "alice", False),
    (("-n", "bob"), "alice cert-authority", False),
    ((), "alice cert-authority", False),
    (("-n", "alice", "-h"), "alice cert-authority", False),
    (("-n", "alice", "-V", "20200101:20210101"), "alice cert-authority", False),
    (("-n", "alice", "-V", "20980101:20990101"), "alice cert-authority", False),
    (("-n", "alice", "-V", "20200101:20990101"), "alice cert-authority", True),
)


@pytest.mark.parametrize(("words", "line", "expected"), CERTIFIED)
def test_a_certificate_means_the_same_to_both(
    tmp_path: Path, asked: Asked, words: tuple[str, ...], line: str, *, expected: bool
) -> None:
    authority, key = make_key(tmp_path / "ca", "-t", "ed25519"), make_key(tmp_path / "key", "-t", "ed25519")
    assert ssh_keygen("-q", "-s", authority, "-I", "id", *words, f"{key}.pub").returncode == 0
    signature = ssh_keygen_signer(tmp_path / "key-cert.pub")(MESSAGE)
    lines = f"{line} {Path(f'{authority}.pub').read_text()}"
    assert asked.verify(signature, MESSAGE, lines) is expected
    assert kit_knows(signature, MESSAGE, lines) is expected


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("by", ["rsa", "ecdsa-521"])
def test_certificates_of_every_kind_are_read(tmp_path: Path, asked: Asked, kind: str, by: str) -> None:
    authority, key = make_key(tmp_path / "ca", *MADE[by]), make_key(tmp_path / "key", *MADE[kind])
    assert ssh_keygen("-q", "-s", authority, "-I", "id", "-n", "alice", f"{key}.pub").returncode == 0
    signature = ssh_keygen_signer(tmp_path / "key-cert.pub")(MESSAGE)
    lines = f"alice cert-authority {Path(f'{authority}.pub').read_text()}"
    assert asked.verify(signature, MESSAGE, lines)
    assert kit_knows(signature, MESSAGE, lines)


@pytest.mark.parametrize("kind", KEYS)
def test_ssh_keygen_agrees_on_certificates_made_in_memory(asked: Asked, kind: str) -> None:
    authority = ed25519_key()
    signature = sshsig(certified(KEYS[kind](), authority), MESSAGE)
    lines = f"alice cert-authority {authority.line}\n"
    assert asked.verify(signature, MESSAGE, lines)
    assert kit_knows(signature, MESSAGE, lines)


def answered_on_a_terminal(argv: list[str], question: bytes, answer: bytes) -> tuple[int, bytes]:
    """Run a program on a terminal of its own, answer its question; return its status and all it said."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(argv[0], argv)
    said, answered = b"", False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break  # Linux says so when the other end is closed.
        if question in said and not answered:
            time.sleep(0.3)  # Bars redraw ten times a second; the question must survive that.
            os.write(terminal, answer)
            answered = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def test_a_passphrase_is_asked_for_on_the_terminal_and_bars_leave_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("HOME", str(tmp_path))
    packed_bundle(tmp_path)
    key = make_key(tmp_path / "key", "-t", "ed25519", passphrase="open sesame")
    argv = [sys.executable, "-m", "kit", "sign", "-b", str(tmp_path / "bundle"), "--key", str(key)]
    code, said = answered_on_a_terminal(argv, b"passphrase", b"open sesame\n")
    assert code == 0, said
    asked, after = said.split(b"passphrase", 1)
    assert b"signed by an unknown key (ssh-ed25519" in after
    # Nothing wiped the question away while it waited for its answer.
    assert b"\x1b[2K" not in after.split(b"\n", 1)[0]
    assert open_bundle(tmp_path / "bundle").signature.status == "unknown"
    code, said = answered_on_a_terminal(argv, b"passphrase", b"open barley\n")
    assert code == 2, (asked, said)
    assert b"ssh-keygen did not sign" in said
