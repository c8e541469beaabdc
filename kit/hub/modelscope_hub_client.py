"""ModelScope. `modelscope_hub`, which modelscope itself uses, lists files and knows addresses and tokens."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, UnreachableError
from kit.hub.listing import check_sha256
from kit.hub.plain_words import plain_words, token_from
from kit.hub.port import Delivery, HubFile, HubListing, Passing, Place
from kit.hub.requests_download import Downloads, Wanted, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ORIGIN = "modelscope"
LOGIN = "set MODELSCOPE_API_TOKEN, or: modelscope login; or correct repo and revision in kit.yaml"
_MODEL = "model"
_TOKEN = "MODELSCOPE_API_TOKEN"  # noqa: S105 - the variable's name


def _api(endpoint: str | None) -> Any:
    try:
        from modelscope_hub.api import HubApi
    except ImportError as error:
        raise ConfigError(
            "the ModelScope client is not installed",
            where="source: modelscope",
            fix="pip install 'airgap-kit[modelscope]'",
        ) from error
    token = token_from((_TOKEN,))
    if endpoint is None:
        return _with_login(HubApi)
    # A stored login was made for ModelScope itself; a mirror gets only what the caller sets.
    return HubApi(endpoint=endpoint, token=token or "")


def _with_login(api: Any) -> Any:
    try:
        return api()
    # The login is a pickled cookie jar; a damaged one fails in any way.
    except Exception as error:
        raise ConfigError(
            "ModelScope's login cannot be read",
            where="~/.modelscope/credentials",
            why=type(error).__name__,
            fix=f"modelscope login, or set {_TOKEN}",
        ) from error


@contextmanager
def _wrapped(where: str, token: str | None) -> Iterator[None]:
    from modelscope_hub.errors import APIError, AuthenticationError, HubError
    from modelscope_hub.errors import PermissionDeniedError as Denied
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        refused = isinstance(error, AuthenticationError | Denied)
        known = refusal(403 if refused else error.status_code or 0, "", where, LOGIN)
        if getattr(error, "retryable", False):
            raise Passing(known, getattr(error, "retry_after", None)) from error
        raise known from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _silent(where, error, token) from error
    except (HubError, RequestException, OSError) as error:
        raise Passing(_silent(where, error, token)) from error


def _silent(where: str, error: Exception, token: str | None) -> UnreachableError:
    return UnreachableError(
        "ModelScope did not answer as expected",
        where=where,
        why=plain_words(error, (token,)),
        fix="try again, or name a mirror in mirrors.hub",
    )


class ModelScopeHub:
    """The HubClient of ModelScope, or of the mirror at `endpoint`."""

    def __init__(self, endpoint: str | None = None, downloads: Downloads | None = None) -> None:
        self._endpoint = endpoint
        self._downloads = downloads or Downloads()
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = _api(self._endpoint)
        return self._made

    def list_files(self, repo: str, revision: str) -> HubListing:
        """Return what the repository holds. Raises Passing, UnreachableError, ConfigError.

        The revision stays the one asked for: the client does not tell its commit.
        """
        client = self._client
        with _wrapped(str(Place(ORIGIN, repo, revision)), client.legacy.token):
            found = client.list_repo_files(repo, _MODEL, revision=revision, recursive=True)
            files = tuple(
                HubFile(item.path, item.size, check_sha256(item.sha256)) for item in found if not item.is_dir
            )
        return HubListing(revision, files)

    def open(self, place: Place, path: str, offset: int) -> AbstractContextManager[Delivery]:
        """Return a file's bytes from `offset` on. Raises Passing, UnreachableError, ConfigError."""
        legacy = self._client.legacy
        url = legacy.get_download_url(place.repo, _MODEL, path, place.revision)
        headers: tuple[tuple[str, str], ...] = ()
        if legacy.token:
            # Both, as the client itself does: older parts of the hub know only the cookie.
            headers = (
                ("Authorization", f"Bearer {legacy.token}"),
                ("Cookie", f"m_session_id={legacy.token}"),
            )
        return self._downloads.open(Wanted(url, headers, f"{place}: {path}", LOGIN), offset)
