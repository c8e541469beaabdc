"""What opens a job's endpoint: its key and certificate, out of kit.yaml and the files beside it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.project.job_model import ApiJob, ProxyJob, ServeJob
from kit.project.references import throughs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate

    from kit.project.job_model import Tls
    from kit.project.load import LoadedProject
    from kit.project.model import Project

_KEY = re.compile(r"[\x21-\x7e]{8,4096}")
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Access:
    """What opens an endpoint, and the files that it is started with."""

    api_key: str = field(default="", repr=False)
    """Empty when it asks for none."""
    certificate: str = field(default="", repr=False)
    """Its own certificate, PEM; empty when it speaks plain HTTP."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """A file, as kit.yaml names it → what stands in it."""
    doors: Mapping[str, Access] = field(default_factory=dict, repr=False)
    """A job whose endpoint this one asks → what opens that."""


def _tls_of(project: Project, name: str) -> Tls | None:
    job = project.jobs[name]
    return job.tls if isinstance(job, ServeJob | ProxyJob) else None


def _key_file(project: Project, name: str) -> tuple[str, str] | None:
    """Return (key of kit.yaml, path) of the file with an endpoint's key; a proxy passes on its replicas'."""
    job = project.jobs[name]
    if isinstance(job, ProxyJob):
        return _key_file(project, job.to[0])
    if isinstance(job, ServeJob | ApiJob) and job.api_key_file is not None:
        return f"jobs.{name}.api_key_file", job.api_key_file
    return None


def secret_paths(project: Project, name: str) -> tuple[str, ...]:
    """Return the files with keys and certificates that a job names. Pure."""
    tls, key = _tls_of(project, name), _key_file(project, name)
    return (*((key[1],) if key else ()), *((tls.cert, tls.key) if tls else ()))


def given_key(project: Project, name: str) -> str:
    """Return the key that a job's `env` gives its endpoint; empty without one. Pure."""
    job = project.jobs[name]
    if isinstance(job, ProxyJob):
        return given_key(project, job.to[0])
    variable = "API_KEY" if isinstance(job, ApiJob) else "VLLM_API_KEY"
    return job.env.get(variable, "") if isinstance(job, ApiJob | ServeJob) else ""


def read_access(loaded: LoadedProject, name: str) -> Access:
    """Return what opens a job's endpoint.

    Raises ConfigError for a file that is not there, that others can read, or that is no such thing.
    """
    project = loaded.project
    secrets: dict[str, str] = {}
    key, certificate = given_key(project, name), ""
    if (named := _key_file(project, name)) is not None:
        where, path = named
        key = secrets[path] = _read_key(loaded, where, path)
    if (tls := _tls_of(project, name)) is not None:
        where = f"jobs.{name}.tls"
        secrets[tls.cert] = _read(loaded, f"{where}.cert", tls.cert, private=False)
        secrets[tls.key] = _read(loaded, f"{where}.key", tls.key, private=True)
        certificate = _own_certificate(where, secrets[tls.cert], secrets[tls.key])
    doors = {through: read_access(loaded, through) for through in throughs_of(project.jobs[name])}
    return Access(key, certificate, secrets, doors)


def _read(loaded: LoadedProject, where: str, path: str, *, private: bool) -> str:
    file = loaded.path(path)
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = str(getattr(error, "strerror", None) or error)
        raise ConfigError("the file cannot be read", where=f"{where}: {file}", why=why) from error
    if private and os.name == "posix" and mode & _OTHERS:
        raise ConfigError(
            "others on this machine can read the secret in it",
            where=f"{where}: {file}",
            why=f"its mode is {mode & 0o777:o}",
            fix=f"chmod 600 {file}",
        )
    return text


def _read_key(loaded: LoadedProject, where: str, path: str) -> str:
    key = _read(loaded, where, path, private=True).strip()
    if not _KEY.fullmatch(key):
        raise ConfigError(
            "no API key stands in the file",
            where=f"{where}: {loaded.path(path)}",
            why="one line of 8 letters, digits or signs at least, without spaces",
            fix=f"(umask 077; openssl rand -hex 32 > {path})",
        )
    return key


def _own_certificate(where: str, cert: str, key: str) -> str:
    """Return the first certificate of the file, PEM. Raises ConfigError unless key and day fit it."""
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        first = load_pem_x509_certificates(cert.encode())[0]
    except (ValueError, IndexError) as error:
        raise ConfigError("no certificate in PEM", where=f"{where}.cert", why=str(error)) from error
    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError) as error:
        fix = "a key in PEM without a passphrase: openssl pkey -in KEY -out PLAIN"
        raise ConfigError("no private key in PEM", where=f"{where}.key", why=str(error), fix=fix) from error
    if private.public_key() != first.public_key():
        raise ConfigError("the key is not that of the certificate", where=f"{where}.key")
    _check_day(first, f"{where}.cert")
    return first.public_bytes(Encoding.PEM).decode()


def _check_day(certificate: Certificate, where: str) -> None:
    now = datetime.now(timezone.utc)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        days = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise ConfigError("the certificate is not valid today", where=where, why=f"it is from {days}")
