"""Who made a bundle, and what a policy makes of that: exit codes, words and JSON of every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.sign import sign_bundle
from tests.factories import project_document
from tests.unit.bundle.factories import as_tarball, packed_bundle
from tests.unit.cli.test_main import project_file, run
from tests.unit.signature.soft_keys import SoftKey, ed25519_key, sshsig

ALICE, MALLORY = ed25519_key(), ed25519_key()
OLD, NEW = "2026-03-01T00:00:00Z", "2026-05-01T12:30:00Z"


class Place:
    """A bundle, a kit.yaml beside it, and a machine with or without a policy."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.file = project_file(folder)
        self.bundle = folder / "bundle"
        self._monkeypatch = monkeypatch
        packed_bundle(folder)

    def pack(self, **overrides: Any) -> None:
        packed_bundle(self.folder, **overrides)

    def sign(self, key: SoftKey) -> None:
        sign_bundle(self.bundle, lambda message: sshsig(key, message))

    def policy(self, text: str, signers: str = f"alice@example.com {ALICE.line}\n") -> None:
        (self.folder / "signers").write_text(signers)
        (self.folder / "trust.yaml").write_text(text)
        for name in ("signers", "trust.yaml"):
            (self.folder / name).chmod(0o644)
        self._monkeypatch.setenv("KIT_TRUST", str(self.folder / "trust.yaml"))

    def run(self, *words: str) -> Any:
        return run(*words, "-f", self.file)

    def json(self, *words: str) -> Any:
        found = self.run(*words, "--json")
        return json.loads(found.stdout)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    tmp_path.chmod(0o755)
    return Place(tmp_path, monkeypatch)


STRICT = "require_signature: true\nallowed_signers: signers\n"


def test_an_unsigned_bundle_is_called_unsigned(place: Place) -> None:
    assert "unsigned" in place.run("inspect").stdout
    assert "unsigned\nwho made it is not proven" in place.run("verify").stdout
    for command in ("inspect", "verify"):
        assert place.json(command)["signature"]["status"] == "unsigned"
        assert place.json(command)["older"] is None


def test_a_key_that_nobody_knows_is_called_unknown(place: Place) -> None:
    place.sign(MALLORY)
    assert "signed by an unknown key (ssh-ed25519 SHA256:" in place.run("inspect").stdout
    assert "who made it is not proven" in place.run("verify").stdout
    found = place.json("verify")["signature"]
    assert (found["status"], found["signer"], found["key_type"]) == ("unknown", "", "ssh-ed25519")


def test_a_known_signer_is_named(place: Place) -> None:
    place.policy(STRICT)
    place.sign(ALICE)
    for command in ("inspect", "verify"):
        assert "signed by alice@example.com (ssh-ed25519 SHA256:" in place.run(command).stdout
        assert place.json(command)["signature"]["signer"] == "alice@example.com"
    assert "not proven" not in place.run("verify").stdout


@pytest.mark.parametrize("command", ["inspect", "verify", "ship", "check"])
def test_a_policy_that_is_not_met_ends_every_command_that_reads_a_bundle(place: Place, command: str) -> None:
    place.policy(STRICT)
    for key in (None, MALLORY):
        if key:
            place.sign(key)
        found = place.run(command)
        assert found.exit_code == 3
        assert "trust.yaml" in found.stderr
        assert place.json(command)["error"]["exit_code"] == 3


@pytest.mark.parametrize("command", ["inspect", "verify", "ship", "check"])
def test_without_a_policy_a_signature_of_other_bytes_is_refused(place: Place, command: str) -> None:
    (place.bundle / "kit.json.sig").write_bytes(sshsig(ALICE, b"other"))
    found = place.run(command)
    assert found.exit_code == 3
    assert "kit.json.sig" in found.stderr


def test_a_policy_that_is_not_met_ends_a_comparison_too(place: Place) -> None:
    place.policy(STRICT)
    found = run("diff", str(place.bundle), str(place.bundle))
    assert found.exit_code == 3
    assert "trust.yaml" in found.stderr


def test_signers_can_be_demanded_for_once(place: Place) -> None:
    signers = place.folder / "alice"
    signers.write_text(f"alice@example.com {ALICE.line}\n")
    assert place.run("verify", "--allowed-signers", str(signers)).exit_code == 3
    place.sign(MALLORY)
    assert place.run("verify", "--allowed-signers", str(signers)).exit_code == 3
    place.sign(ALICE)
    found = place.run("verify", "--allowed-signers", str(signers))
    assert found.exit_code == 0
    assert "signed by alice@example.com" in found.stdout
    assert place.run("verify", "--allowed-signers", str(signers) + "x").exit_code == 2


def test_a_demand_for_once_lifts_none_of_the_policy(place: Place) -> None:
    place.policy(STRICT)
    place.sign(MALLORY)
    signers = place.folder / "mallory"
    signers.write_text(f"mallory {MALLORY.line}\n")
    assert place.run("verify", "--allowed-signers", str(signers)).exit_code == 3


def test_a_policy_that_is_wrong_is_a_matter_of_configuration(place: Place) -> None:
    place.policy("require_signatures: true\n")
    found = place.run("verify")
    assert found.exit_code == 2
    assert "require_signatures: unknown key" in found.stderr
    place.policy(STRICT)
    (place.folder / "signers").chmod(0o666)
    found = place.run("inspect")
    assert found.exit_code == 2
    assert "anybody may change" in found.stderr


# Older bundles.


def test_an_older_bundle_of_the_same_name_is_called_older(place: Place) -> None:
    place.pack(locked=NEW)
    assert place.run("verify").exit_code == 0
    place.pack(locked=OLD)
    found = place.run("inspect")
    assert found.exit_code == 0
    assert f"older than the one of {NEW} seen here" in found.stdout
    older = place.json("verify")["older"]
    assert (older["locked"], older["newer"]["locked"]) == (OLD, NEW)
    place.pack(locked=OLD, name="another")
    assert place.json("inspect")["older"] is None


def test_looking_at_a_bundle_accepts_nothing(place: Place) -> None:
    place.pack(locked=NEW)
    place.run("inspect")
    place.pack(locked=OLD)
    assert place.json("inspect")["older"] is None


def test_an_older_bundle_is_refused_where_a_policy_says_so(place: Place) -> None:
    place.policy("refuse_older: true\n")
    place.pack(locked=NEW)
    assert place.run("verify").exit_code == 0
    place.pack(locked=OLD)
    for command in ("inspect", "verify", "ship"):
        found = place.run(command)
        assert found.exit_code == 3
        assert f"older than the one of {NEW} seen here" in found.stderr
    place.pack(locked=NEW)
    assert place.run("verify").exit_code == 0


@pytest.mark.parametrize(("policy", "code"), [("", 0), ("refuse_older: true\n", 6)])
def test_a_record_that_cannot_be_written_matters_where_a_policy_needs_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, policy: str, code: int
) -> None:
    place.policy(policy)
    (place.folder / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_STATE_HOME", str(place.folder / "file"))
    found = place.run("verify")
    assert found.exit_code == code
    assert ("cannot be written" in found.stderr) == bool(code)


def test_a_record_that_was_spoiled_is_not_passed_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place.folder))
    assert place.run("verify").exit_code == 0
    (place.folder / "airgap-kit" / "seen.json").write_bytes(b"{")
    found = place.run("verify")
    assert found.exit_code == 2
    assert "seen.json" in found.stderr


# kit sign.


@pytest.mark.parametrize("form", ["bundle", "b.tar"])
def test_a_signature_made_elsewhere_is_put_in_its_place(place: Place, form: str) -> None:
    bundle, signature = place.folder / form, place.folder / "made.sig"
    if bundle.suffix:
        as_tarball(packed_bundle(place.folder), bundle)
    signature.write_bytes(sshsig(ALICE, (place.bundle / "kit.json").read_bytes()))
    words = ("sign", "-b", str(bundle), "--signature", str(signature))
    assert "would sign demo" in place.run(*words, "--dry-run").stdout
    assert place.json("inspect", "-b", str(bundle))["signature"]["status"] == "unsigned"
    document = place.json(*words)
    assert (document["name"], document["signature"]["status"]) == ("demo", "unknown")
    assert place.json("inspect", "-b", str(bundle))["signature"]["status"] == "unknown"


def test_a_signature_of_something_else_is_not_put_anywhere(place: Place) -> None:
    signature = place.folder / "made.sig"
    signature.write_bytes(sshsig(ALICE, b"other"))
    found = place.run("sign", "--signature", str(signature))
    assert found.exit_code == 3
    assert not (place.bundle / "kit.json.sig").exists()


def test_kit_sign_wants_one_key_or_one_signature(place: Place) -> None:
    assert place.run("sign").exit_code == 2
    assert place.run("sign", "--key", "k", "--signature", "s").exit_code == 2
    found = place.run("sign", "--key", str(place.folder / "missing"))
    assert found.exit_code == 2
    assert "no such key" in found.stderr


def test_a_key_that_is_not_there_is_noticed_before_anything_is_built(tmp_path: Path) -> None:
    file = project_file(tmp_path, **project_document())
    found = run("bundle", "--sign", str(tmp_path / "missing"), "-f", file)
    assert found.exit_code == 2
    assert "no such key" in found.stderr
