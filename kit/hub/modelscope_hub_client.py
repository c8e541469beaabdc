"""ModelScope, through its own client library (`modelscope_hub`, which modelscope itself uses)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, UnreachableError
from kit.hub.port import HubFile, HubListing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODEL = "model"


def _api(endpoint: str | None) -> Any:
    try:
        from modelscope_hub.api import HubApi
    except ImportError as error:
        raise ConfigError(
            "the ModelScope client is not installed",
            where="source: modelscope",
            fix="pip install 'airgap-kit[modelscope]'",
        ) from error
    return HubApi(endpoint=endpoint)


@contextmanager
def _wrapped(repo: str, revision: str) -> Iterator[None]:
    from modelscope_hub.errors import AuthenticationError, HubError, NotExistError, PermissionDeniedError
    from requests.exceptions import RequestException

    where = f"modelscope:{repo}@{revision}"
    try:
        yield
    except NotExistError as error:
        raise ConfigError("ModelScope has no such model, revision or file", where=where) from error
    except (AuthenticationError, PermissionDeniedError) as error:
        raise ConfigError(
            "ModelScope refuses access", where=where, why=str(error), fix="modelscope login --token …"
        ) from error
    except (HubError, RequestException, OSError) as error:
        raise UnreachableError(
            "ModelScope did not answer as expected",
            where=where,
            why=str(error),
            fix="try again, or name a mirror in mirrors.hub",
        ) from error


class ModelScopeHub:
    """The HubClient of ModelScope, or of the mirror at `endpoint`."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = _api(self._endpoint)
        return self._made

    def list_files(self, repo: str, revision: str) -> HubListing:
        """Return what the repository holds. Raises UnreachableError, ConfigError."""
        client = self._client
        with _wrapped(repo, revision):
            found = client.list_repo_files(repo, _MODEL, revision=revision, recursive=True)
        files = (
            HubFile(item.path, item.size, f"sha256:{item.sha256}" if item.sha256 else None)
            for item in found
            if not item.is_dir
        )
        return HubListing(revision, tuple(files))

    def download(self, repo: str, revision: str, path: str, folder: Path) -> None:
        """Put one file at `folder/path`. Raises UnreachableError, ConfigError."""
        client = self._client
        with _wrapped(repo, revision):
            client.download_file(repo, _MODEL, path, revision=revision, local_dir=folder)
