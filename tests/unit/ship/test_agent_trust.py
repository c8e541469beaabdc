"""A host that has a policy of its own, and what a ship leaves of a signature there."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.sign import sign_bundle
from kit.bundle.source import BundleSource, open_bundle
from kit.cli.agent import answer
from kit.errors import ConfigError, VerificationError
from kit.ship.agent.order import order_document
from kit.ship.engine.served import Store
from tests.unit.ship.factories import host_plan, ship_bundle_source
from tests.unit.ship.fake_host import FakeHost
from tests.unit.ship.test_ship import make_host, ship
from tests.unit.signature.soft_keys import SoftKey, ed25519_key, sshsig

ALICE, MALLORY = ed25519_key(), ed25519_key()


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


@pytest.fixture
def host(tmp_path: Path, source: BundleSource) -> FakeHost:
    return make_host(tmp_path / "gpu1", source)


def signed(tmp_path: Path, key: SoftKey) -> BundleSource:
    return sign_bundle(tmp_path / "bundle", lambda message: sshsig(key, message))


def policy(host: FakeHost, text: str) -> None:
    folder = host.root / "etc"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trust.yaml").write_text(text)
    (folder / "signers").write_text(f"alice {ALICE.line}\n")
    for path in (folder / "trust.yaml", folder / "signers"):
        path.chmod(0o644)


def receipt(host: FakeHost) -> dict[str, object]:
    (path,) = (host.root / "receipts").iterdir()
    return dict(json.loads(path.read_text()))


def test_the_signature_travels_with_kit_json(tmp_path: Path, source: BundleSource, host: FakeHost) -> None:
    bundle = signed(tmp_path, ALICE)
    ship(bundle, host)
    path = host.root / "bundles" / f"{blob_of(source.manifest_bytes).digest[7:]}.json.sig"
    assert path.read_bytes() == bundle.signature_bytes
    assert receipt(host)["signature"]["status"] == "unknown"  # type: ignore[index]


def test_a_receipt_calls_an_unsigned_bundle_unsigned(source: BundleSource, host: FakeHost) -> None:
    ship(source, host)
    assert receipt(host)["signature"]["status"] == "unsigned"  # type: ignore[index]
    assert not list((host.root / "bundles").glob("*.sig"))


def test_a_host_refuses_what_its_own_policy_does_not_let_in(
    tmp_path: Path, source: BundleSource, host: FakeHost
) -> None:
    policy(host, "require_signature: true\nallowed_signers: signers\n")
    for bundle, word in ((source, "unsigned"), (signed(tmp_path, MALLORY), "unknown key")):
        with pytest.raises(VerificationError, match=word):
            ship(bundle, host)
        assert not (host.root / "blobs").exists()
        assert not (host.root / "bundles").exists()
    # Refused once is refused: nothing is sent again, no blob is read to find one to blame.
    assert sum(argv[:2] == ("docker", "run") for argv in host.commands) == 2
    ship(signed(tmp_path, ALICE), host)
    assert receipt(host)["signature"]["signer"] == "alice"  # type: ignore[index]


def test_the_agent_refuses_before_it_asks_for_an_engine(source: BundleSource, host: FakeHost) -> None:
    policy(host, "require_signature: true\nallowed_signers: signers\n")
    request = order_document(
        host_plan(source.manifest), Store(containerd=False, version="20.10"), source, "me"
    )
    stdin: io.BufferedReader = io.BufferedReader(io.BytesIO(json.dumps(request).encode() + b"\n"))
    out = io.BytesIO()
    assert answer("ship", str(host.root), stdin, out) == 3
    (line,) = out.getvalue().splitlines()
    assert "unsigned" in json.loads(line)["error"]["what"]
    assert json.loads(line)["error"]["where"] == "the shipment"


def test_a_host_refuses_an_older_bundle_where_its_policy_says_so(tmp_path: Path, host: FakeHost) -> None:
    policy(host, "refuse_older: true\n")
    ship(open_bundle(tmp_path / "bundle"), host)
    (host.root / "bundles" / "other.json").write_bytes(b"no manifest")
    older = ship_bundle_source(tmp_path, locked="2020-01-01T00:00:00Z")
    host.manifest = older.manifest
    with pytest.raises(VerificationError, match="older than the one of"):
        ship(older, host)
    newer = ship_bundle_source(tmp_path, locked="2030-01-01T00:00:00Z")
    host.manifest = newer.manifest
    ship(newer, host)
    assert (host.root / "bundles" / "current.json").read_bytes() == newer.manifest_bytes


def test_a_policy_on_a_host_that_is_wrong_is_said_so(source: BundleSource, host: FakeHost) -> None:
    policy(host, "require: true\n")
    with pytest.raises(ConfigError, match="require: unknown key"):
        ship(source, host)
    policy(host, "require_signature: true\nallowed_signers: signers\n")
    (host.root / "etc" / "signers").chmod(0o666)
    with pytest.raises(ConfigError, match="anybody may change"):
        ship(source, host)
