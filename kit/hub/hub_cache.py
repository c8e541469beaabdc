"""The folder that downloaded files wait in, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.known_files import KnownFiles
from kit.errors import ConfigError, TransferError, VerificationError

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.manifest import Blob
    from kit.hub.port import HubClient, HubFile

_ATTEMPTS = 2


def default_cache(folder: Path) -> Path:
    """Return the cache of the project in `folder`."""
    return folder / ".kit" / "hub"


def make_hub(origin: str, endpoint: str | None) -> HubClient:
    """Return the client of `modelscope` or `huggingface`. Raises ConfigError for another."""
    if origin == "modelscope":
        from kit.hub.modelscope_hub_client import ModelScopeHub

        return ModelScopeHub(endpoint)
    if origin == "huggingface":
        from kit.hub.huggingface_hub_client import HuggingFaceHub

        return HuggingFaceHub(endpoint)
    raise ConfigError(f"no hub named {origin!r}", where="source", fix="modelscope, huggingface or folder")


@dataclass(frozen=True, slots=True)
class HubCache:
    """Files of one repository at one revision, on this machine."""

    hub: HubClient
    repo: str
    revision: str
    folder: Path
    known: KnownFiles

    def place(self, path: str) -> Path:
        """Return where a file stands once it is fetched."""
        return self.folder / path

    def fetch(self, file: HubFile) -> Blob:
        """Return digest and size of a file that is here whole, downloading it when it is not.

        Whatever the hub's client says, size and sha256 are checked here. Raises
        VerificationError, UnreachableError, ConfigError, TransferError.
        """
        place = self.place(file.path)
        for _ in range(_ATTEMPTS):
            if not place.is_file():
                self._download(file.path)
            blob = self.known.blob_of(place)
            if blob.size == file.size and file.digest in (None, blob.digest):
                return blob
            place.unlink()
        raise VerificationError(
            f"{file.path} came with other bytes than were pinned",
            where=f"{self.repo}@{self.revision}",
            why=f"{blob.size} bytes with {blob.digest}, {file.size} with {file.digest} expected",
            fix="kit lock, when the repository was changed on purpose; otherwise another mirror",
        )

    def _download(self, path: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TransferError("cannot be written", where=str(self.folder), why=str(error)) from error
        self.hub.download(self.repo, self.revision, path, self.folder)
        if not self.place(path).is_file():
            raise TransferError(
                f"{path} was not written by the hub's client", where=str(self.folder), fix="try again"
            )


def open_cache(hub: HubClient, origin: str, repo: str, revision: str, cache: Path) -> HubCache:
    """Return the cache of one repository at one revision. Raises ConfigError for an unsafe name."""
    for name in (repo, revision):
        if ".." in name.split("/") or name.startswith(("/", "~")) or not name.isprintable():
            raise ConfigError(f"not a name on a hub: {name!r}", where=f"{origin}:{repo}")
    folder = cache / origin / repo.replace("/", "--") / revision.replace("/", "--")
    return HubCache(hub, repo, revision, folder, KnownFiles.load(cache / "verified.jsonl"))
