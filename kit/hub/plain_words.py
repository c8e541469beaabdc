"""What a foreign error says, fit to be shown: one short line, without secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 200
# Signed addresses carry their secret in the query, some mirrors carry theirs before the host.
_QUERY = re.compile(r"\?[^\s'\"<>]*")
_LOGIN = re.compile(r"//[^\s/@'\"]*@")
_BEARER = re.compile(r"(?i)bearer\s+\S+")


def plain_words(error: BaseException, secrets: Iterable[str | None] = ()) -> str:
    """Return an error's text in one line, with tokens, logins and queries of addresses left out."""
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = _BEARER.sub("Bearer …", _LOGIN.sub("//…@", _QUERY.sub("?…", text)))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def token_from(names: Iterable[str]) -> str | None:
    """Return the token that the first set one of these variables holds.

    Raises ConfigError, without the token, for one that no HTTP header could bear.
    """
    for name in names:
        token = os.environ.get(name, "").strip()
        if token and not re.fullmatch(r"[!-~]+", token):
            raise ConfigError("holds characters that no token has", where=name, fix=f"set {name} anew")
        if token:
            return token
    return None


def check_mirror(endpoint: str | None) -> None:
    """Raise ConfigError unless the mirror is an address without a login in it."""
    if endpoint is None:
        return
    if not re.match(r"https?://[^/]", endpoint):
        raise ConfigError(
            "not an address", where="mirrors.hub", fix="write it whole, e.g. https://hub.example"
        )
    if _LOGIN.search(endpoint):
        raise ConfigError(
            "an address with a login in it",
            where="mirrors.hub",
            why="kit.yaml is no place for secrets",
            fix="give the token by HF_TOKEN or MODELSCOPE_API_TOKEN",
        )
