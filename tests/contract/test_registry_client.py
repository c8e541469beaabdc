"""The registry client against a real server: what it accepts, what it refuses, and what it lets out."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError, KitError, TransferError, VerificationError
from kit.images.docker_credentials import Login, find_login
from kit.images.registry_client import RegistryClient
from kit.images.registry_http import UrlTransport
from tests.contract.fake_registry import OCI, TOKEN, FakeRegistry, digest_of, running_registry

USER = ("ann", "secret-word")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as found:
        yield found


@pytest.fixture
def other() -> Iterator[FakeRegistry]:
    with running_registry() as found:
        yield found


def client(login: Login | None = None, **settings: object) -> RegistryClient:
    return RegistryClient(UrlTransport(sleep=lambda _: None, **settings), lambda _: login)  # type: ignore[arg-type]


def login() -> Login:
    return Login(*USER)


def test_a_tag_becomes_the_digest_of_the_bytes(registry: FakeRegistry) -> None:
    digest = registry.add_image("team/tool", "1.2")
    found = client().resolve(f"{registry.host}/team/tool:1.2")
    assert (found.digest, found.platform, found.listed) == (digest, "linux/amd64", None)
    assert f"{OCI}.index.v1+json" in registry.seen[0].accept
    assert "application/vnd.docker.distribution.manifest.list.v2+json" in registry.seen[0].accept


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_out_of_a_list_comes_the_one_that_every_x86_processor_runs(registry: FakeRegistry, kind: str) -> None:
    digests = registry.add_list(
        "a", "1", ("linux/arm64", "linux/amd64/v3", "linux/amd64", "windows/amd64"), kind
    )
    found = client().resolve(f"{registry.host}/a:1")
    assert (found.digest, found.listed) == (digests["linux/amd64"], digests["list"])


def test_a_list_or_image_for_other_processors_is_refused(registry: FakeRegistry) -> None:
    registry.add_list("a", "1", ("linux/arm64",))
    registry.add_image("b", "1", "arm64")
    for name in ("a", "b"):
        with pytest.raises(TransferError, match="no such image for linux/amd64"):
            client().resolve(f"{registry.host}/{name}:1")


def test_a_token_is_asked_for_once_and_sent_from_then_on(registry: FakeRegistry) -> None:
    registry.auth = "token"
    registry.add_list("team/tool", "1", ("linux/amd64",))
    client().resolve(f"{registry.host}/team/tool:1")
    assert len([path for path in registry.paths() if path.startswith("/token?")]) == 1
    assert "scope=repository%3Ateam%2Ftool%3Apull" in registry.paths()[1]
    assert [seen.authorization for seen in registry.seen] == [None, None, *[f"Bearer {TOKEN}"] * 3]


def test_the_login_goes_to_the_authorisation_server_and_not_to_the_registry(registry: FakeRegistry) -> None:
    registry.auth, registry.user = "token", USER
    digest = registry.add_image("team/tool", "1")
    assert client(login()).resolve(f"{registry.host}/team/tool:1").digest == digest
    basic = "Basic " + base64.b64encode(b"ann:secret-word").decode()
    assert [seen.path.split("?")[0] for seen in registry.seen if seen.authorization == basic] == ["/token"]


def test_an_identity_token_is_exchanged(registry: FakeRegistry) -> None:
    registry.auth = "refresh"
    digest = registry.add_image("team/tool", "1")
    known = Login("", identity_token="identity")
    assert client(known).resolve(f"{registry.host}/team/tool:1").digest == digest
    assert [seen.method for seen in registry.seen if seen.path == "/token"] == ["POST"]


def test_basic_authentication_is_spoken(registry: FakeRegistry) -> None:
    registry.auth, registry.user = "basic", USER
    digest = registry.add_image("team/tool", "1")
    assert client(login()).resolve(f"{registry.host}/team/tool:1").digest == digest


@pytest.mark.parametrize("auth", ["token", "basic"])
@pytest.mark.parametrize("given", [None, Login("ann", "wrong-word")])
def test_who_is_not_let_in_hears_which_login_is_missing(
    registry: FakeRegistry, auth: str, given: Login | None
) -> None:
    registry.auth, registry.user = auth, USER
    registry.add_image("team/tool", "1")
    with pytest.raises(ConfigError) as caught:
        client(given).resolve(f"{registry.host}/team/tool:1")
    assert f"docker login {registry.host}" in caught.value.fix
    assert "word" not in str(caught.value).replace("username or password", "")


def test_blobs_are_followed_to_another_host_without_the_token(
    registry: FakeRegistry, other: FakeRegistry
) -> None:
    registry.auth, registry.blob_redirect = "token", f"http://{other.host}"
    digest = registry.add_image("a", "1")
    other.blobs = registry.blobs
    assert client().resolve(f"{registry.host}/a:1").digest == digest
    assert [seen.authorization for seen in other.seen] == [None]


def test_a_login_does_not_follow_the_authorisation_server_elsewhere(
    registry: FakeRegistry, other: FakeRegistry
) -> None:
    registry.auth, registry.user, registry.token_redirect = "token", USER, f"http://{other.host}/token"
    registry.add_image("a", "1")
    with pytest.raises(KitError):
        client(login()).resolve(f"{registry.host}/a:1")
    assert {seen.authorization for seen in other.seen} <= {None}


@pytest.mark.parametrize(
    "place", ["http://192.0.2.1/x", "file:///etc/passwd", "https://a@192.0.2.1/x", "ftp://x/y"]
)
def test_no_redirect_and_no_challenge_leads_to_plain_http_or_a_file(
    registry: FakeRegistry, place: str
) -> None:
    registry.raw["/v2/a/manifests/1"] = (302, {"Location": place}, b"")
    registry.raw["/v2/b/manifests/1"] = (401, {"WWW-Authenticate": f'Bearer realm="{place}"'}, b"")
    for name in ("a", "b"):
        with pytest.raises(VerificationError, match="the registry leads to"):
            client(login()).resolve(f"{registry.host}/{name}:1")


def test_redirects_in_a_circle_end(registry: FakeRegistry) -> None:
    registry.raw["/v2/a/manifests/1"] = (302, {"Location": "/v2/a/manifests/1"}, b"")
    with pytest.raises(TransferError, match="redirects"):
        client().resolve(f"{registry.host}/a:1")
    assert len(registry.seen) < 10


def test_a_header_that_names_another_digest_is_no_proof(registry: FakeRegistry) -> None:
    registry.add_image("a", "1")
    registry.header_digest = "sha256:" + "0" * 64
    with pytest.raises(VerificationError, match="not those that its header names"):
        client().resolve(f"{registry.host}/a:1")


def test_other_bytes_under_a_digest_are_refused(registry: FakeRegistry) -> None:
    true = registry.add_image("a", "1")
    lie = registry.add_image("b", "1", "arm64")
    digests = registry.add_list("c", "1", ("linux/amd64",))
    registry.manifests["a", true] = registry.manifests["b", lie]
    kind, data = registry.manifests["c", digests["linux/amd64"]]
    registry.manifests["c", digests["linux/amd64"]] = (kind, data.replace(b"layers", b"Layers"))
    for reference in (f"a@{true}", "c:1"):
        with pytest.raises(VerificationError, match="other bytes than it named"):
            client().resolve(f"{registry.host}/{reference}")


def test_a_config_with_other_bytes_is_refused(registry: FakeRegistry) -> None:
    registry.add_image("a", "1")
    registry.blobs = {digest: data + b" " for digest, data in registry.blobs.items()}
    with pytest.raises(VerificationError, match="other bytes than it named"):
        client().resolve(f"{registry.host}/a:1")


def _config(**overrides: object) -> dict[str, object]:
    given = {"digest": "sha256:" + "0" * 64, "size": 3} | overrides
    return {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": given, "layers": []}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"<html>log in</html>",
        {"schemaVersion": 1, "signatures": []},
        {"mediaType": f"{OCI}.index.v1+json"},
        {
            "mediaType": f"{OCI}.index.v1+json",
            "manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}],
        },
        {"mediaType": f"{OCI}.index.v1+json", "manifests": [3, None, {"platform": 3}]},
        _config(digest="sha256:../../etc/passwd"),
        _config(size=-1),
        _config(size=True),
        _config(size=1 << 40),
        {"mediaType": f"{OCI}.manifest.v1+json"},
    ],
)
def test_what_is_no_manifest_is_refused_in_words(registry: FakeRegistry, document: object) -> None:
    registry.add_manifest("a", "1", "application/json", document)
    with pytest.raises((VerificationError, TransferError)):
        client().resolve(f"{registry.host}/a:1")


def test_answers_without_end_are_cut_off(registry: FakeRegistry) -> None:
    big = b'{"a": "' + b"x" * (5 << 20) + b'"}'
    registry.add_manifest("a", "1", f"{OCI}.manifest.v1+json", big)
    registry.raw["/v2/b/manifests/1"] = (200, {"Content-Length": str(1 << 50)}, b"{}")
    for name in ("a", "b"):
        with pytest.raises(VerificationError, match="larger than"):
            client().resolve(f"{registry.host}/{name}:1")


def test_an_answer_that_breaks_off_is_no_answer(registry: FakeRegistry) -> None:
    registry.add_image("a", "1")
    registry.cut = True
    with pytest.raises(TransferError):
        client().resolve(f"{registry.host}/a:1")


def test_a_busy_registry_is_asked_again(registry: FakeRegistry) -> None:
    digest = registry.add_image("a", "1")
    registry.busy = 2
    assert client().resolve(f"{registry.host}/a:1").digest == digest
    registry.busy = 9
    with pytest.raises(TransferError, match="503"):
        client().resolve(f"{registry.host}/a:1")


def test_what_a_registry_does_not_have_is_the_users_to_mend(registry: FakeRegistry) -> None:
    with pytest.raises(ConfigError, match="has no such image") as caught:
        client().resolve(f"{registry.host}/a:1")
    assert "MANIFEST_UNKNOWN" in caught.value.why


def test_nobody_there_is_a_matter_of_transfer() -> None:
    with pytest.raises(TransferError, match="does not answer"):
        client().resolve("127.0.0.1:1/a:1")


def _certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    places = folder / "server.crt", folder / "server.key"
    places[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    places[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return places


def test_a_ca_that_docker_has_for_a_registry_counts(tmp_path: Path) -> None:
    pair = _certificate(tmp_path)
    with running_registry(pair) as registry:
        digest = registry.add_image("a", "1")
        folder = tmp_path / "certs.d" / registry.host
        folder.mkdir(parents=True)
        settings: dict[str, Any] = {"certs": (str(tmp_path / "certs.d"),)}
        with pytest.raises(TransferError) as caught:
            client(**settings).resolve(f"{registry.host}/a:1")
        assert "SSL_CERT_FILE" in caught.value.fix
        (folder / "ca.crt").write_bytes(pair[0].read_bytes())
        assert client(**settings).resolve(f"{registry.host}/a:1").digest == digest


def test_a_bundle_that_the_environment_names_counts(tmp_path: Path) -> None:
    pair = _certificate(tmp_path)
    with running_registry(pair) as registry:
        digest = registry.add_image("a", "1")
        (tmp_path / "certs.d" / registry.host).mkdir(parents=True)
        found = client(certs=(str(tmp_path / "certs.d"),), env={"SSL_CERT_FILE": str(pair[0])})
        assert found.resolve(f"{registry.host}/a:1").digest == digest


HELPER = """#!/bin/sh
read server
[ "$1" = get ] || exit 2
case $server in
  registry.example) echo '{"ServerURL": "x", "Username": "ann", "Secret": "kept"}' ;;
  https://index.docker.io/v1/) echo '{"Username": "<token>", "Secret": "identity"}' ;;
  broken.example) echo 'the keychain is locked'; exit 1 ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


@pytest.fixture
def helped(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    auths = {"plain.example": {"auth": base64.b64encode(b"bob:in-file").decode()}}
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "test", "auths": auths}))
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}


def test_a_credential_helper_is_asked_for_the_very_registry(helped: dict[str, str]) -> None:
    assert find_login("registry.example", helped) == Login("ann", "kept")
    assert find_login("docker.io", helped) == Login("", identity_token="identity")
    assert find_login("plain.example", helped) == Login("bob", "in-file")
    assert find_login("unknown.example", helped) is None


def test_a_helper_that_fails_or_is_missing_is_named(helped: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="the keychain is locked"):
        find_login("broken.example", helped)
    with pytest.raises(ConfigError, match="there is no docker-credential-test"):
        find_login("registry.example", helped | {"PATH": "/usr/bin:/bin"})


def test_a_digest_is_that_of_the_bytes_whatever_their_layout(registry: FakeRegistry) -> None:
    registry.add_image("a", "1")
    kind, data = registry.manifests["a", "1"]
    spaced = json.dumps(json.loads(data), indent=7).encode()
    registry.manifests["a", "1"] = (kind, spaced)
    assert client().resolve(f"{registry.host}/a:1").digest == digest_of(spaced)
