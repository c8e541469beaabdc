"""Hugging Face. Its own client library lists files and knows addresses and tokens."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, UnreachableError
from kit.hub.listing import MOST_FILES
from kit.hub.plain_words import plain_words, token_from
from kit.hub.port import Delivery, HubFile, HubListing, Passing, Place
from kit.hub.requests_download import Downloads, Wanted, asked_wait, may_pass, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ORIGIN = "huggingface"
LOGIN = "set HF_TOKEN, or: hf auth login; or correct repo and revision in kit.yaml"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_NOT_UNDERSTOOD = (ValueError, TypeError, KeyError, AttributeError)


def _package() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(
            "the Hugging Face client is not installed",
            where="source: huggingface",
            fix="pip install 'airgap-kit[huggingface]'",
        ) from error
    return huggingface_hub


@contextmanager
def _wrapped(where: str, secrets: tuple[str | None, ...]) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.HfHubHTTPError as error:
        response = error.response
        if response is None:
            raise Passing(_silent(where, error, secrets)) from error
        headers = response.headers
        known = refusal(response.status_code, headers.get("X-Error-Code", ""), where, LOGIN)
        if may_pass(response.status_code):
            raise Passing(known, asked_wait(headers.get("Retry-After"))) from error
        raise known from error
    except errors.HFValidationError as error:
        raise ConfigError(
            "not the name of a repository", where=where, why=plain_words(error, secrets)
        ) from error
    except _NOT_UNDERSTOOD as error:
        raise _silent(where, error, secrets) from error
    # Generations of the client raise the errors of different HTTP libraries.
    except Exception as error:
        raise Passing(_silent(where, error, secrets)) from error


def _silent(where: str, error: Exception, secrets: tuple[str | None, ...]) -> UnreachableError:
    return UnreachableError(
        "Hugging Face did not answer as expected",
        where=where,
        why=plain_words(error, secrets),
        fix="try again, or name a mirror in mirrors.hub",
    )


class HuggingFaceHub:
    """The HubClient of Hugging Face, or of the mirror at `endpoint`."""

    def __init__(self, endpoint: str | None = None, downloads: Downloads | None = None) -> None:
        self._endpoint = endpoint
        self._downloads = downloads or Downloads()

    def _token(self) -> str | bool | None:
        # A stored login was made for Hugging Face itself; a mirror gets only what the caller sets.
        return None if self._endpoint is None else (token_from(_TOKENS) or False)

    def _headers(self) -> dict[str, str]:
        _package()
        # mypy: the module names what it exports in a way that only runs.
        utils: Any = importlib.import_module("huggingface_hub.utils")
        headers: dict[str, str] = utils.build_hf_headers(token=self._token(), library_name="airgap-kit")
        return headers

    def _secrets(self) -> tuple[str | None, ...]:
        return token_from(_TOKENS), self._headers().get("authorization", "").removeprefix("Bearer ")

    def list_files(self, repo: str, revision: str) -> HubListing:
        """Return what the repository holds, at the commit that the revision stands for now.

        Raises Passing, UnreachableError, ConfigError.
        """
        api = _package().HfApi(endpoint=self._endpoint, token=self._token())
        with _wrapped(str(Place(ORIGIN, repo, revision)), self._secrets()):
            commit = api.model_info(repo, revision=revision).sha
            listed = api.list_repo_tree(repo, recursive=True, revision=commit)
            found = list(islice(listed, MOST_FILES + 1))
        files = (
            HubFile(
                item.path,
                item.size,
                f"sha256:{item.lfs.sha256}" if item.lfs else None,
                None if item.lfs else item.blob_id,
            )
            for item in found
            if hasattr(item, "blob_id")
        )
        return HubListing(commit, tuple(files))

    def open(self, place: Place, path: str, offset: int) -> AbstractContextManager[Delivery]:
        """Return a file's bytes from `offset` on. Raises Passing, UnreachableError, ConfigError."""
        url = _package().hf_hub_url(place.repo, path, revision=place.revision, endpoint=self._endpoint)
        headers = tuple(self._headers().items())
        return self._downloads.open(Wanted(url, headers, f"{place}: {path}", LOGIN), offset)
