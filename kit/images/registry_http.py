"""One HTTP request to a registry, nothing followed and nothing believed: bytes within a limit, or an error.

TLS unless the registry is this machine itself. CA certificates: the system's, `SSL_CERT_FILE`, and what
docker has for the registry (`certs.d/HOST:PORT/*.crt`, client certificates too). Proxies come from the
environment, never for loopback.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from kit.errors import ConfigError, TransferError, VerificationError
from kit.project.image_reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SILENCE = 30.0
"""Seconds without a byte."""
_WHOLE = 180.0
"""Seconds for one answer."""
_CHUNK = 1 << 16
_TRIES = 3
_AGAIN = (429, 500, 502, 503, 504)
_LONGEST_WAIT = 20.0
_CERTS = ("/etc/docker/certs.d", "~/.config/docker/certs.d")
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """Sent by POST; None for GET."""
    limit: int = 1 << 20
    """Most bytes that the answer may have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's first value; empty when there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a header."""
        return tuple(value for key, value in self.headers if key == name)


class Transport(Protocol):
    """Sends requests."""

    def send(self, request: Request) -> Answer:
        """Return the answer. Raises TransferError when there is none, VerificationError when too large."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Leave redirects to the caller, who knows which headers may go along."""


class UrlTransport:
    """Sends by urllib; tries again when a registry is busy or the line breaks."""

    def __init__(
        self,
        env: Mapping[str, str] = os.environ,
        certs: tuple[str, ...] = _CERTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._env = env
        self._certs = certs
        self._sleep = sleep

    def has_certificates(self, host: str) -> bool:
        """Tell whether docker has certificates for `HOST:PORT`; even loopback then speaks TLS."""
        return any(folder.is_dir() for folder in self._folders(host))

    def send(self, request: Request) -> Answer:
        """Return the answer. Raises TransferError when there is none, VerificationError when too large."""
        for tried in range(1, _TRIES + 1):
            try:
                answer = self._once(request)
            except TransferError:
                if tried == _TRIES:
                    raise
                self._sleep(float(tried))
                continue
            if answer.status not in _AGAIN or tried == _TRIES:
                return answer
            self._sleep(_wait(answer, tried))
        raise AssertionError

    def _once(self, request: Request) -> Answer:
        host = urlsplit(request.url).netloc
        opener = self._opener(host, tls=request.url.startswith("https:"))
        sent = urllib.request.Request(  # noqa: S310 - the caller made the URL: http(s) only
            request.url, data=request.body, headers=dict(request.headers)
        )
        try:
            try:
                answer = opener.open(sent, timeout=_SILENCE)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                headers = tuple((name.lower(), value) for name, value in answer.headers.items())
                return Answer(int(answer.status), headers, _read(answer, request, host))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(host, error) from error

    def _opener(self, host: str, *, tls: bool) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if is_loopback(host):
            handlers.append(urllib.request.ProxyHandler({}))
        if tls:
            handlers.append(urllib.request.HTTPSHandler(context=self._context(host)))
        return urllib.request.build_opener(*handlers)

    def _context(self, host: str) -> ssl.SSLContext:
        bundle = next((self._env[name] for name in _BUNDLES if self._env.get(name)), None)
        try:
            context = ssl.create_default_context()
            if bundle:
                context.load_verify_locations(bundle)
            for folder in self._folders(host):
                for file in sorted(folder.glob("*.crt")):
                    context.load_verify_locations(file)
                for file in sorted(folder.glob("*.cert")):
                    context.load_cert_chain(file, file.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            fix = "correct SSL_CERT_FILE, or docker's certs.d"
            raise ConfigError(
                "certificates cannot be read", where=host, why=f"{bundle or ''} {error}".strip(), fix=fix
            ) from error
        return context

    def _folders(self, host: str) -> tuple[Path, ...]:
        return tuple(Path(folder).expanduser() / host for folder in self._certs)


def _read(answer: Any, request: Request, host: str) -> bytes:
    promised = answer.headers.get("content-length", "")
    if promised.isdigit() and int(promised) > request.limit:
        raise _too_large(host, request.limit)
    end = time.monotonic() + _WHOLE
    body = bytearray()
    while chunk := answer.read(_CHUNK):
        body += chunk
        if len(body) > request.limit:
            raise _too_large(host, request.limit)
        if time.monotonic() > end:
            raise TransferError(f"its answer takes more than {_WHOLE:.0f} s", where=host)
    if promised.isdigit() and len(body) < int(promised):
        raise TransferError("its answer breaks off", where=host, why=f"{len(body)} of {promised} bytes came")
    return bytes(body)


def _wait(answer: Answer, tried: int) -> float:
    asked = answer.header("retry-after")
    return min(float(asked), _LONGEST_WAIT) if asked.isdigit() else float(tried)


def _too_large(host: str, limit: int) -> VerificationError:
    # No TransferError: asking again would not help.
    return VerificationError(
        f"its answer is larger than {limit:,} bytes",
        where=host,
        why="no manifest or token is",
        fix="is it a registry?",
    )


def _unreachable(host: str, error: Exception) -> TransferError:
    reason = getattr(error, "reason", error)
    fix = "set mirrors.registry in kit.yaml to a registry within reach"
    if isinstance(reason, ssl.SSLCertVerificationError):
        fix = f"name its CA: SSL_CERT_FILE=…, or put it at /etc/docker/certs.d/{host}/ca.crt"
    elif isinstance(reason, ssl.SSLError):
        fix = "kit speaks plain HTTP with registries on this machine only: use one with TLS"
    return TransferError("does not answer", where=host, why=str(reason) or type(reason).__name__, fix=fix)
