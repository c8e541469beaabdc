from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kit.errors import ConfigError
from kit.project.load import LoadedProject, parse_project
from kit.run.access import read_access
from kit.run.plan import plan_without_hosts
from tests.factories import project_document


def write_pair(folder: Path, name: str = "serve", days: int = 30) -> str:
    """Write a certificate and its key as an own authority would give them; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gpu1.example")])
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    )
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=60))
    cert = builder.not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
    text = cert.public_bytes(Encoding.PEM).decode()
    (folder / f"{name}.pem").write_text(text)
    path = folder / f"{name}.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return text


def _loaded(folder: Path, **serve: Any) -> LoadedProject:
    made = project_document()
    made["jobs"]["serve"] |= serve
    return LoadedProject(parse_project(made), folder)


TLS = {"cert": "serve.pem", "key": "serve.key"}


def _key(folder: Path, text: str, mode: int = 0o600) -> None:
    (folder / "key").write_text(text)
    (folder / "key").chmod(mode)


def test_a_key_comes_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    _key(tmp_path, "0123456789abcdef\n")
    found = read_access(_loaded(tmp_path, api_key_file="key"), "serve")
    assert (found.api_key, dict(found.secrets)) == ("0123456789abcdef", {"key": "0123456789abcdef"})
    assert "0123456789" not in repr(found)


def test_an_api_job_has_its_key_from_a_file_too(tmp_path: Path) -> None:
    _key(tmp_path, "0123456789abcdef\n")
    made = project_document()
    made["jobs"]["api"] = {"kind": "api", "from": "train", "hosts": ["gpu1"], "api_key_file": "key"}
    made["jobs"]["api"]["env"] = {"API_KEY": "another"}
    found = read_access(LoadedProject(parse_project(made), tmp_path), "api")
    assert (found.api_key, dict(found.secrets)) == ("0123456789abcdef", {"key": "0123456789abcdef"})


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("0123456789abcdef", 0o640, "others on this machine can read"),
        ("short", 0o600, "no API key stands in the file"),
        ("two words here", 0o600, "no API key stands in the file"),
        ("", 0o600, "no API key stands in the file"),
    ],
)
def test_a_file_that_holds_no_secret_key_is_refused(tmp_path: Path, text: str, mode: int, told: str) -> None:
    _key(tmp_path, text, mode)
    with pytest.raises(ConfigError, match=told) as caught:
        read_access(_loaded(tmp_path, api_key_file="key"), "serve")
    assert caught.value.where.startswith("jobs.serve.api_key_file: ")
    assert not text or text not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_access(_loaded(tmp_path, api_key_file="key"), "serve")


def test_a_certificate_and_its_key_are_read(tmp_path: Path) -> None:
    text = write_pair(tmp_path)
    found = read_access(_loaded(tmp_path, tls=TLS), "serve")
    assert found.certificate == text
    assert set(found.secrets) == {"serve.pem", "serve.key"}


def test_of_a_chain_the_first_certificate_is_the_endpoints(tmp_path: Path) -> None:
    signer = write_pair(tmp_path, "signer")
    text = write_pair(tmp_path)
    (tmp_path / "serve.pem").write_text(text + signer)
    found = read_access(_loaded(tmp_path, tls=TLS), "serve")
    assert found.certificate == text
    assert found.secrets["serve.pem"] == text + signer


def test_another_certificates_key_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    write_pair(tmp_path, "other")
    with pytest.raises(ConfigError, match="the key is not that of the certificate"):
        read_access(_loaded(tmp_path, tls={"cert": "serve.pem", "key": "other.key"}), "serve")


def test_a_certificate_of_yesterday_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, days=-1)
    with pytest.raises(ConfigError, match="not valid today"):
        read_access(_loaded(tmp_path, tls=TLS), "serve")


@pytest.mark.parametrize("name", ["serve.pem", "serve.key"])
def test_what_is_no_pem_is_refused(tmp_path: Path, name: str) -> None:
    write_pair(tmp_path)
    (tmp_path / name).write_text("no pem")
    with pytest.raises(ConfigError, match="in PEM"):
        read_access(_loaded(tmp_path, tls=TLS), "serve")


def test_a_plan_needs_no_secret_and_shows_none(tmp_path: Path) -> None:
    project = _loaded(tmp_path, tls=TLS, api_key_file="key").project
    shown = {file.path: file.content for file in plan_without_hosts(project, "serve", None)[0].files}
    assert shown["secret/api-key"] == shown["secret/key.pem"] == "(hidden)\n"
