"""Bytes of a hub's files over HTTP, by the library `requests`.

The hubs' clients say what a file's address is and with which token it is read; its bytes come
through here, so that they are hashed while they come, go on where they were cut off, and the
token goes to the hub's own host alone. See docs/decisions/0010-bytes-of-hubs.md.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from kit.errors import ConfigError, KitError, TransferError, UnreachableError
from kit.hub.plain_words import plain_words
from kit.hub.port import Delivery, Passing

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
_REDIRECTS = 5
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_PARTIAL = 206
_PAST_THE_END = 416
_OK = frozenset({200, _PARTIAL})
_REFUSED = frozenset({401, 403})
_GONE = frozenset({404, 410})
_BUSY = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)
_SECRET_HEADERS = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class Tempo:
    """What counts as a dead connection. Times are in seconds."""

    connect: float = 15.0
    silence: float = 30.0
    """Nothing at all for so long."""
    window: float = 60.0
    least: int = 60 * 1024
    """Fewer bytes than this in a window is as good as nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file on a hub, as it is asked for."""

    url: str
    headers: tuple[tuple[str, str], ...]
    where: str
    """Hub, repository, revision and file, for messages."""
    login: str
    """What a user does to be let in."""


class Downloads:
    """Opens files. Used from several threads, each with a connection of its own."""

    def __init__(self, tempo: Tempo | None = None) -> None:
        self._tempo = tempo or Tempo()
        self._local = threading.local()

    @property
    def _session(self) -> Any:
        if not hasattr(self._local, "session"):
            import requests

            self._local.session = requests.Session()
        return self._local.session

    @contextmanager
    def open(self, wanted: Wanted, offset: int) -> Iterator[Delivery]:
        """Return a file's bytes from `offset` on. Raises Passing, ConfigError, UnreachableError."""
        response, elsewhere = self._answer(wanted, offset)
        if offset and _cannot_go_on(response):
            response.close()
            response, elsewhere = self._answer(wanted, 0)
        try:
            _check(response, wanted, elsewhere=elsewhere)
            first, total = _extent(response)
            yield Delivery(first, total, _chunks(response, wanted.where, self._tempo))
        finally:
            response.close()

    def _answer(self, wanted: Wanted, offset: int) -> tuple[Any, bool]:
        """Return the answer at the end of all redirects, and whether another host gave it."""
        headers = {**dict(wanted.headers), "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        url = wanted.url
        for _ in range(_REDIRECTS):
            response = self._get(url, headers, wanted.where)
            target = response.headers.get("Location")
            if response.status_code not in _REDIRECTED or not target:
                return response, _origin(url) != _origin(wanted.url)
            response.close()
            target = urljoin(url, target)
            if _origin(target) != _origin(url):
                headers = {key: value for key, value in headers.items() if key.lower() not in _SECRET_HEADERS}
            if url.startswith("https:") and not target.startswith("https:"):
                raise UnreachableError("the hub redirects to a connection without TLS", where=wanted.where)
            url = target
        raise UnreachableError("the hub redirects in circles", where=wanted.where)

    def _get(self, url: str, headers: dict[str, str], where: str) -> Any:
        import requests

        session = self._session
        # A cookie that a server sets and a login in ~/.netrc must not travel with the token.
        session.cookies.clear()
        try:
            return session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self._tempo.connect, self._tempo.silence),
                auth=_no_netrc,
            )
        except (requests.RequestException, OSError) as error:
            raise Passing(
                UnreachableError(
                    f"{urlsplit(url).hostname} does not answer",
                    where=where,
                    why=plain_words(error, _secrets(headers)),
                    fix="check the network and proxies, or name a mirror in mirrors.hub",
                )
            ) from error


def _secrets(headers: dict[str, str]) -> list[str]:
    secret = [value for key, value in headers.items() if key.lower() in _SECRET_HEADERS]
    return secret + [part for value in secret for part in value.replace("=", " ").split()[1:]]


def _cannot_go_on(response: Any) -> bool:
    """Tell whether the answer to a request for a part is of no use: none there, or a part of a packing."""
    packed = response.headers.get("Content-Encoding", "identity") != "identity"
    status: int = response.status_code
    return status == _PAST_THE_END or (status == _PARTIAL and packed)


def _no_netrc(request: Any) -> Any:
    return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _check(response: Any, wanted: Wanted, *, elsewhere: bool) -> None:
    status = response.status_code
    if status in _OK:
        return
    if elsewhere and not may_pass(status):
        # Signed addresses end after minutes; the hub gives a new one the next time.
        host = urlsplit(response.url).hostname
        what = f"{host}, where the hub keeps its files, refuses this one (HTTP {status})"
        raise Passing(UnreachableError(what, where=wanted.where, fix="try again later"))
    error = refusal(status, response.headers.get("X-Error-Code", ""), wanted.where, wanted.login)
    if may_pass(status):
        raise Passing(error, asked_wait(response.headers.get("Retry-After")))
    raise error


def may_pass(status: int) -> bool:
    """Tell whether a later attempt may be answered better than with this HTTP status."""
    return status in _BUSY or status in _SERVER_ERRORS


def refusal(status: int, code: str, where: str, login: str) -> KitError:
    """Return the error for an HTTP status; `login` is what a user does to be let in."""
    if status in _REFUSED:
        gated = code == "GatedRepo"
        what = "gated: its owner has not let you in" if gated else f"the hub refuses access (HTTP {status})"
        fix = f"accept its terms on the hub's page, then {login}" if gated else login
        return ConfigError(what, where=where, fix=fix)
    if status in _GONE:
        return ConfigError("the hub has no such repository, revision or file", where=where, fix=login)
    what = "the hub is too busy for us" if status in _BUSY else "the hub failed"
    return UnreachableError(
        f"{what} (HTTP {status})", where=where, fix="try again later, or name a mirror in mirrors.hub"
    )


def asked_wait(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or an HTTP date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _extent(response: Any) -> tuple[int, int | None]:
    """Return the place of the answer's first byte, and the size of the whole file if it says so."""
    if response.status_code == _PARTIAL:
        # Content-Range: bytes FIRST-LAST/TOTAL (RFC 9110, 14.4)
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        first = span.partition("-")[0]
        return (int(first) if first.isdigit() else -1), (int(total) if total.isdigit() else None)
    length = response.headers.get("Content-Length", "")
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return 0, int(length) if plain and length.isdigit() else None


def _chunks(response: Any, where: str, tempo: Tempo) -> Iterator[bytes]:
    import urllib3

    read = getattr(response.raw, "read1", None) or response.raw.read
    began, came = time.monotonic(), 0
    while True:
        try:
            chunk = read(CHUNK, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _broken(where, plain_words(error)) from error
        if not chunk:
            return
        yield chunk
        came += len(chunk)
        now = time.monotonic()
        if now - began > tempo.window:
            if came < tempo.least:
                raise _broken(where, f"{came} bytes in {now - began:.0f} s")
            began, came = now, 0


def _broken(where: str, why: str) -> Passing:
    return Passing(
        TransferError("the connection broke", where=where, why=why, fix="run it again; it goes on from there")
    )
