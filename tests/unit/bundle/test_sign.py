"""Signatures of bundles, in both forms: put there, judged before anything else, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.bundle.extent import Extent
from kit.bundle.folder_target import alone
from kit.bundle.sign import open_unjudged, sign_bundle
from kit.bundle.source import open_bundle, read_claim
from kit.bundle.verify import verify_bundle
from kit.errors import ConfigError, VerificationError
from kit.progress import NoProgress
from kit.signature.trust import Rule, Trust, Verdict
from tests.unit.bundle.factories import as_tarball, packed_bundle
from tests.unit.signature.soft_keys import ed25519_key, sshsig

KEY = ed25519_key()


def sign(message: bytes) -> bytes:
    return sshsig(KEY, message)


@pytest.fixture(params=["folder", "tarball"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An unsigned bundle."""
    source = packed_bundle(tmp_path)
    if request.param == "folder":
        return tmp_path / "bundle"
    as_tarball(source, tmp_path / "bundle.tar")
    return tmp_path / "bundle.tar"


def test_a_bundle_is_signed_where_it_stands(bundle: Path) -> None:
    before = open_bundle(bundle)
    assert before.signature.status == "unsigned"
    after = sign_bundle(bundle, sign)
    assert (after.signature.status, after.signature.key_type) == ("unknown", "ssh-ed25519")
    assert after.manifest_bytes == before.manifest_bytes
    verify_bundle(open_bundle(bundle), NoProgress())


def test_a_signature_is_replaced_by_another(bundle: Path) -> None:
    first = sign_bundle(bundle, sign).signature
    other = ed25519_key()
    second = sign_bundle(bundle, lambda message: sshsig(other, message)).signature
    assert first.fingerprint != second.fingerprint


def test_a_signature_of_other_bytes_is_refused_and_can_be_replaced(bundle: Path) -> None:
    with pytest.raises(VerificationError, match="not what was signed"):
        sign_bundle(bundle, lambda _: sshsig(KEY, b"other bytes"))
    with pytest.raises(VerificationError, match="not what was signed"):
        open_bundle(bundle)
    assert open_unjudged(bundle).signature.status == "unsigned"
    assert sign_bundle(bundle, sign).signature.status == "unknown"


def test_the_judge_comes_before_anything_is_understood(bundle: Path) -> None:
    sign_bundle(bundle, sign)
    source = open_bundle(bundle)
    heard = []

    def judge(data: bytes, signature: bytes | None, where: str) -> Verdict:
        heard.append((data, signature, where))
        raise VerificationError("refused by the judge")

    whole = bundle if bundle.is_file() else bundle / "kit.json"
    content = whole.read_bytes()
    # Not JSON any more: a reader that parsed first would say so.
    whole.unlink()
    whole.write_bytes(content.replace(b'{"documents"', b'["documents"', 1))
    assert whole.read_bytes() != content
    with pytest.raises(VerificationError, match="refused by the judge"):
        open_bundle(bundle, judge)
    ((data, signature, where),) = heard
    assert (signature, where) == (source.signature_bytes, str(bundle))
    assert data != source.manifest_bytes


def test_what_a_policy_demands_is_demanded_of_both_forms(bundle: Path) -> None:
    strict = Trust((Rule("trust.yaml", require_signature=True, signers_file="signers"),))
    with pytest.raises(VerificationError, match="unsigned"):
        open_bundle(bundle, strict.judge)
    sign_bundle(bundle, sign)
    with pytest.raises(VerificationError, match="unknown key"):
        open_bundle(bundle, strict.judge)


def flips(data: bytes) -> list[bytes]:
    return [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in range(len(data))]


def test_any_flipped_byte_of_the_signature_file_is_refused(tmp_path: Path) -> None:
    packed_bundle(tmp_path)
    sign_bundle(tmp_path / "bundle", sign)
    path = tmp_path / "bundle" / "kit.json.sig"
    for changed in flips(path.read_bytes()):
        path.unlink()
        path.write_bytes(changed)
        with pytest.raises(VerificationError):
            open_bundle(tmp_path / "bundle")


def test_a_bundle_being_packed_is_not_signed(tmp_path: Path) -> None:
    packed_bundle(tmp_path)
    with alone(tmp_path / "bundle" / "partial"), pytest.raises(ConfigError, match="writing here"):
        sign_bundle(tmp_path / "bundle", sign)
    assert not (tmp_path / "bundle" / "kit.json.sig").exists()


def test_a_bundle_that_changes_while_it_is_signed_is_left_alone(tmp_path: Path) -> None:
    packed_bundle(tmp_path)

    def slow(message: bytes) -> bytes:
        packed_bundle(tmp_path, name="another")
        return sign(message)

    with pytest.raises(ConfigError, match="changed while it was signed"):
        sign_bundle(tmp_path / "bundle", slow)
    assert open_bundle(tmp_path / "bundle").signature.status == "unsigned"


def test_a_signer_that_fails_changes_nothing(bundle: Path) -> None:
    def failing(_: bytes) -> bytes:
        raise ConfigError("ssh-keygen did not sign")

    with pytest.raises(ConfigError, match="did not sign"):
        sign_bundle(bundle, failing)
    assert open_bundle(bundle).signature.status == "unsigned"


def _cut_off(tmp_path: Path, kept: int) -> Path:
    """A tarball whose signing was killed when `kept` bytes of its new end were written."""
    path = as_tarball(packed_bundle(tmp_path), tmp_path / "b.tar")
    before = path.read_bytes()
    sign_bundle(path, sign)
    after = path.read_bytes()
    place, _, _ = read_claim(Extent.of_file(path, len(after)), "b.tar")
    path.write_bytes(before[:place] + after[place : place + kept] + before[place + kept :])
    path.with_name("b.tar.signing").write_bytes(b"%020d" % place + after[place:])
    return path


@pytest.mark.parametrize("kept", [0, 600, 2000, 1 << 20])
def test_signing_that_was_killed_is_finished_by_signing_again(tmp_path: Path, kept: int) -> None:
    path = _cut_off(tmp_path, kept)
    assert sign_bundle(path, sign).signature.status == "unknown"
    verify_bundle(open_bundle(path), NoProgress())
    assert not list(tmp_path.glob("b.tar.signing*"))


def test_what_was_cut_off_is_forgotten_once_another_bundle_stands_there(tmp_path: Path) -> None:
    path = _cut_off(tmp_path, 0)
    as_tarball(packed_bundle(tmp_path, name="another"), path)
    whole = path.read_bytes()

    def failing(_: bytes) -> bytes:
        raise ConfigError("ssh-keygen did not sign")

    with pytest.raises(ConfigError):
        sign_bundle(path, failing)
    assert path.read_bytes() == whole
    assert not list(tmp_path.glob("b.tar.signing*"))


def test_signing_a_tarball_writes_its_end_alone(tmp_path: Path) -> None:
    path = as_tarball(packed_bundle(tmp_path), tmp_path / "b.tar")
    inode, before = path.stat().st_ino, path.read_bytes()
    place, _, _ = read_claim(Extent.of_file(path, len(before)), "b.tar")
    sign_bundle(path, sign)
    assert path.stat().st_ino == inode
    assert path.read_bytes()[:place] == before[:place]
