"""Hugging Face, through its own client library."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, UnreachableError
from kit.hub.port import HubFile, HubListing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def _wrapped(repo: str, revision: str) -> Iterator[None]:
    from huggingface_hub import errors

    where = f"huggingface:{repo}@{revision}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ConfigError(
            "Hugging Face refuses access", where=where, why=str(error), fix="hf auth login"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise ConfigError(
            "Hugging Face has no such model, revision or file, or hides it",
            where=where,
            fix="correct repo and revision in kit.yaml, or hf auth login",
        ) from error
    except errors.HFValidationError as error:
        raise ConfigError("not the name of a repository", where=where, why=str(error)) from error
    # Two generations of the client raise the errors of two HTTP libraries; all derive from these.
    except Exception as error:
        raise UnreachableError(
            "Hugging Face did not answer as expected",
            where=where,
            why=str(error),
            fix="try again, or name a mirror in mirrors.hub",
        ) from error


class HuggingFaceHub:
    """The HubClient of Hugging Face, or of the mirror at `endpoint`."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def list_files(self, repo: str, revision: str) -> HubListing:
        """Return what the repository holds, at the commit that the revision stands for now.

        Raises UnreachableError, ConfigError.
        """
        api = _package().HfApi(endpoint=self._endpoint)
        with _wrapped(repo, revision):
            commit = api.model_info(repo, revision=revision).sha
            found = list(api.list_repo_tree(repo, recursive=True, revision=commit))
        files = (
            HubFile(item.path, item.size, f"sha256:{item.lfs.sha256}" if item.lfs else None)
            for item in found
            if hasattr(item, "blob_id")
        )
        return HubListing(commit, tuple(files))

    def download(self, repo: str, revision: str, path: str, folder: Path) -> None:
        """Put one file at `folder/path`. Raises UnreachableError, ConfigError."""
        package = _package()
        with _wrapped(repo, revision):
            package.hf_hub_download(repo, path, revision=revision, local_dir=folder, endpoint=self._endpoint)
