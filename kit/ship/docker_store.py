"""The engine on this host, asked through the Docker API (docker SDK)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import DockerException, ImageNotFound

from kit.errors import EngineError
from kit.host.agent import SOCKET
from kit.ship.engine_port import PullStatus
from kit.ship.identity import SeenImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SILENCE = 1800
"""Seconds that an engine may be busy unpacking without a word."""


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn what the SDK and its HTTP library raise into EngineError."""
    try:
        yield
    except (DockerException, OSError) as error:
        why = getattr(error, "explanation", None) or str(error)
        raise EngineError(
            f"the engine did not {what}",
            why=str(why),
            fix="docker info, and the engine's log (journalctl -u docker)",
        ) from error


def _refuse_error(line: dict[str, Any], where: str) -> None:
    if "error" in line:
        raise EngineError("the engine did not take in the image", where=where, why=str(line["error"]))


class DockerStore:
    """An engine's image store behind its socket."""

    def __init__(self, socket: str = SOCKET) -> None:
        """Connect. Raises EngineError."""
        with _asking("answer"):
            self._api: Any = docker.APIClient(base_url=f"unix://{socket}", version="auto", timeout=SILENCE)

    def pull(self, reference: str) -> Iterator[PullStatus]:
        """Pull an image by digest, yielding the engine's reports."""
        repository, _, digest = reference.partition("@")
        with _asking(f"pull {reference}"):
            for line in self._api.pull(repository, tag=digest, stream=True, decode=True):
                _refuse_error(line, reference)
                yield PullStatus(str(line.get("id", "")), str(line.get("status", "")))

    def load(self, archive: Iterable[bytes]) -> None:
        """Take in an archive."""
        with _asking("load an image"):
            for line in self._api.load_image(iter(archive)):
                _refuse_error(line, "docker load")

    def tag(self, reference: str, tag: str) -> None:
        """Give an image a tag."""
        repository, _, name = tag.rpartition(":")
        with _asking(f"tag {reference}"):
            self._api.tag(reference, repository, name, force=True)

    def remove(self, reference: str) -> None:
        """Remove one name of an image."""
        with _asking(f"remove {reference}"):
            self._api.remove_image(reference)

    def inspect(self, reference: str) -> SeenImage | None:
        """Return an image, or None."""
        with _asking(f"inspect {reference}"):
            try:
                found = self._api.inspect_image(reference)
            except ImageNotFound:
                return None
        layers = (found.get("RootFS") or {}).get("Layers") or ()
        return SeenImage(str(found["Id"]), tuple(found.get("RepoTags") or ()), tuple(layers))
