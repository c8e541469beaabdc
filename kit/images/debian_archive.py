"""The state of a Debian archive: the digest of a suite's Release file, which names all its packages.

A stable suite's file changes with each point release, every two months or so; until then the same packages
come out of it. (Form of an archive: wiki.debian.org/DebianRepository/Format.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

from kit.errors import ConfigError, TransferError, VerificationError
from kit.images.registry_http import Request, UrlTransport

if TYPE_CHECKING:
    from kit.images.registry_http import Transport

DEBIAN = "http://deb.debian.org/debian"
"""Where debootstrap goes when it is told nothing."""
_LIMIT = 4 << 20
_HOPS = 5
_OK, _NOT_FOUND = 200, 404
_REDIRECTS = (301, 302, 303, 307, 308)
_FIX = "set mirrors.apt in kit.yaml to a Debian mirror within reach"


def release_digest(data: bytes) -> str:
    """Return `sha256:…` of a Release file.

    White space at its end does not count: debootstrap leaves the last newline out when it takes the file
    from the signed form.
    """
    return "sha256:" + hashlib.sha256(data.rstrip()).hexdigest()


class Archives(Protocol):
    """Knows the state of Debian archives."""

    def release(self, suite: str, mirror: str | None) -> str:
        """Return the digest of a suite's Release file.

        Raises TransferError when nobody answers, ConfigError when the mirror has no such suite.
        """


@dataclass
class DebianArchive:
    """Asks a mirror, each suite once."""

    transport: Transport = field(default_factory=UrlTransport)
    _known: dict[str, str] = field(default_factory=dict)

    def release(self, suite: str, mirror: str | None) -> str:
        """Return the digest of a suite's Release file.

        Raises TransferError when nobody answers, ConfigError when the mirror has no such suite,
        VerificationError when it sends something else.
        """
        url = f"{(mirror or DEBIAN).rstrip('/')}/dists/{suite}/Release"
        if url not in self._known:
            data = self._local(url) if url.startswith("file:") else self._ask(url)
            if b"\nSHA256:" not in data or b"Components:" not in data:
                raise VerificationError("this is no Release file of a Debian archive", where=url, fix=_FIX)
            self._known[url] = release_digest(data)
        return self._known[url]

    def _local(self, url: str) -> bytes:
        try:
            return Path(urlsplit(url).path).read_bytes()
        except OSError as error:
            raise ConfigError("cannot be read", where=url, why=str(error), fix=_FIX) from error

    def _ask(self, url: str) -> bytes:
        for _ in range(_HOPS):
            if urlsplit(url).scheme not in ("http", "https"):
                raise ConfigError("no address of a Debian mirror", where=url, fix=_FIX)
            answer = self.transport.send(Request(url, limit=_LIMIT))
            if answer.status in _REDIRECTS and answer.header("location"):
                url = urljoin(url, answer.header("location"))
            elif answer.status == _OK:
                return answer.body
            elif answer.status == _NOT_FOUND:
                raise ConfigError("the mirror has no such suite", where=url, fix=_FIX)
            else:
                raise TransferError(
                    "no Release file comes", where=url, why=f"status {answer.status}", fix=_FIX
                )
        raise TransferError(f"more than {_HOPS} redirects", where=url, fix=_FIX)
