"""Asks registries which bytes a name stands for (OCI distribution specification, pull half).

A digest is computed from the bytes that came, never taken from a header. Credentials go to the registry,
and to the authorisation server that it names, over TLS; a redirect to another host gets none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlencode, urljoin, urlsplit

from kit.errors import ConfigError, TransferError, VerificationError
from kit.images.docker_credentials import Login, find_login
from kit.images.registry_answers import (
    CONFIG_LIMIT,
    LISTS,
    MANIFEST_LIMIT,
    MANIFESTS,
    PLATFORM,
    Challenge,
    Descriptor,
    check_bytes,
    check_config,
    choose_platform,
    descriptor,
    digest_of,
    media_type,
    parse_challenges,
    parse_document,
    parse_token,
)
from kit.images.registry_http import Answer, Request, Transport, UrlTransport
from kit.project.image_reference import DOCKER_HUB, ImageReference, is_loopback, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

_HUB_HOST = "registry-1.docker.io"
_TOKEN_LIMIT = 1 << 18
_HOPS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 200, 401, 403, 404, 429
_MIRROR_FIX = "set mirrors.registry in kit.yaml to a registry within reach"


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """What a name stands for, for one platform."""

    digest: str
    """Of the platform's own manifest: what is pulled."""
    platform: str
    """`linux/amd64`"""
    listed: str | None
    """Digest of the list that it was found in."""


class Registry(Protocol):
    """Tells what names of images stand for."""

    def resolve(self, reference: str) -> ResolvedImage:
        """Return the image for linux/amd64.

        Raises TransferError when the registry does not answer or lacks the platform, ConfigError when it
        refuses or has no such image, VerificationError when its answers do not fit each other.
        """


@dataclass
class RegistryClient:
    """The registries themselves, over HTTP."""

    transport: Transport = field(default_factory=UrlTransport)
    login: Callable[[str], Login | None] = find_login
    _granted: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    """(registry, repository) → Authorization header."""

    def resolve(self, reference: str) -> ResolvedImage:
        """Return the image for linux/amd64. Raises TransferError, ConfigError or VerificationError."""
        image = parse_reference(reference)
        body, kind = self._manifest(image, image.digest or image.tag or "latest", reference)
        digest = digest_of(body)
        if image.digest:
            check_bytes(body, Descriptor(image.digest, len(body)), reference)
        document = parse_document(body, reference)
        listed = None
        if media_type(document, kind) in LISTS:
            listed, chosen = digest, choose_platform(document, reference)
            body, kind = self._manifest(image, chosen.digest, reference)
            check_bytes(body, chosen, reference)
            digest, document = chosen.digest, parse_document(body, reference)
        found = media_type(document, kind)
        if found not in MANIFESTS:
            raise VerificationError(
                f"the registry sent {found[:80] or 'something'} in place of an image's manifest",
                where=reference,
                fix="images of schema 1 (before 2016) must be pushed anew",
            )
        self._check_platform(image, descriptor(document.get("config"), reference), reference)
        return ResolvedImage(digest, "/".join(PLATFORM), listed)

    def _manifest(self, image: ImageReference, name: str, where: str) -> tuple[bytes, str]:
        accept = (("Accept", ", ".join((*LISTS, *MANIFESTS))),)
        answer = self._ask(image, f"manifests/{name}", accept, MANIFEST_LIMIT, where)
        said = answer.header("docker-content-digest")
        if said.startswith("sha256:") and said != digest_of(answer.body):
            raise VerificationError(
                "the registry's bytes are not those that its header names",
                where=where,
                why=f"header {said}, bytes {digest_of(answer.body)}",
                fix="ask the registry itself in place of a mirror or proxy that changes what it passes on",
            )
        return answer.body, answer.header("content-type")

    def _check_platform(self, image: ImageReference, config: Descriptor, where: str) -> None:
        if config.size > CONFIG_LIMIT:
            raise VerificationError(f"a config of {config.size:,} bytes", where=where)
        body = self._ask(image, f"blobs/{config.digest}", (), CONFIG_LIMIT, where).body
        check_bytes(body, config, where)
        check_config(parse_document(body, where), where)

    def _ask(
        self, image: ImageReference, path: str, headers: tuple[tuple[str, str], ...], limit: int, where: str
    ) -> Answer:
        host = _HUB_HOST if image.registry == DOCKER_HUB else image.registry
        url = f"{self._scheme(host)}://{host}/v2/{quote(image.repository)}/{path}"
        key = (image.registry, image.repository)
        answer = self._follow(Request(url, (*headers, *self._authorization(key)), limit=limit))
        if answer.status == _UNAUTHORIZED:
            self._granted[key] = self._grant(image, answer, url, where)
            answer = self._follow(Request(url, (*headers, *self._authorization(key)), limit=limit))
        if answer.status != _OK:
            raise _refusal(answer, image.registry, where)
        return answer

    def _scheme(self, host: str) -> str:
        tls = not is_loopback(host) or getattr(self.transport, "has_certificates", lambda _: False)(host)
        return "https" if tls else "http"

    def _authorization(self, key: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        return (("Authorization", self._granted[key]),) if key in self._granted else ()

    def _follow(self, request: Request) -> Answer:
        for _ in range(_HOPS):
            answer = self.transport.send(request)
            if answer.status not in _REDIRECTS or not answer.header("location"):
                return answer
            url = urljoin(request.url, answer.header("location"))
            _check_url(url, request.url)
            headers = request.headers
            if urlsplit(url)[:2] != urlsplit(request.url)[:2]:
                headers = tuple(pair for pair in headers if pair[0] != "Authorization")
            request = Request(url, headers, limit=request.limit)
        raise TransferError(f"more than {_HOPS} redirects", where=urlsplit(request.url).netloc)

    def _grant(self, image: ImageReference, answer: Answer, url: str, where: str) -> str:
        """Return the Authorization header that a challenge asks for."""
        login = self.login(image.registry)
        for challenge in parse_challenges(answer.all("www-authenticate")):
            if challenge.scheme == "bearer":
                return f"Bearer {self._token(challenge, login, image, url, where)}"
            if login is not None and login.user:
                return login.basic
        raise ConfigError(
            f"the registry {image.registry} wants a login",
            where=where,
            why="none that it takes stands in docker's configuration",
            fix=_login_fix(image.registry),
        )

    def _token(
        self, challenge: Challenge, login: Login | None, image: ImageReference, url: str, where: str
    ) -> str:
        realm = urljoin(url, challenge.realm)
        _check_url(realm, url)
        asked = {
            "service": challenge.service,
            "scope": challenge.scope or f"repository:{image.repository}:pull",
        }
        asked = {key: value for key, value in asked.items() if value}
        if login is not None and login.identity_token:
            form = {
                **asked,
                "grant_type": "refresh_token",
                "client_id": "airgap-kit",
                "refresh_token": login.identity_token,
            }
            kind = (("Content-Type", "application/x-www-form-urlencoded"),)
            # Not followed: a redirect would have to carry the login along.
            request = Request(realm, kind, urlencode(form).encode(), _TOKEN_LIMIT)
            answer = self.transport.send(request)
        else:
            basic = (("Authorization", login.basic),) if login is not None else ()
            joint = "&" if "?" in realm else "?"
            answer = self._follow(Request(f"{realm}{joint}{urlencode(asked)}", basic, limit=_TOKEN_LIMIT))
        if answer.status != _OK:
            raise _refusal(answer, image.registry, where)
        return parse_token(answer.body, where)


def _check_url(url: str, before: str) -> None:
    """Raise VerificationError for a place that neither a redirect nor a challenge may lead to."""
    there, here = urlsplit(url), urlsplit(before)
    plain = there.scheme == "http" and here.scheme == "http" and is_loopback(there.netloc)
    if (there.scheme == "https" or plain) and there.netloc and "@" not in there.netloc:
        return
    raise VerificationError(
        f"the registry leads to {there.scheme}://{there.netloc.rpartition('@')[2]}",
        where=here.netloc,
        why="only https is followed, and plain http from this machine to itself",
        fix=_MIRROR_FIX,
    )


def _login_fix(registry: str) -> str:
    return "docker login" if registry == DOCKER_HUB else f"docker login {registry}"


def _refusal(answer: Answer, registry: str, where: str) -> ConfigError | TransferError:
    said = answer.body[:200].decode("utf-8", "replace").strip()
    why = f"{registry} said {answer.status}" + (
        f": {' '.join(said.split())}" if said.isprintable() and said else ""
    )
    if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
        fix = f"{_login_fix(registry)}, or correct the name; registries also refuse what they do not have"
        return ConfigError("the registry refuses it", where=where, why=why, fix=fix)
    if answer.status == _NOT_FOUND:
        fix = "correct the name or tag in kit.yaml, or mirrors.registry"
        return ConfigError("the registry has no such image", where=where, why=why, fix=fix)
    fix = (
        f"{_login_fix(registry)} (logins have higher limits), or wait"
        if answer.status == _TOO_MANY
        else _MIRROR_FIX
    )
    return TransferError("its digest cannot be resolved", where=where, why=why, fix=fix)
