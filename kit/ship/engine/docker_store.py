"""The engine on this host, asked through the Docker API.

docker's own SDK takes longer to import than a host on which nothing changes takes for all else: it
waits until something is to be changed.
"""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kit.errors import EngineError
from kit.host.agent import SOCKET
from kit.host.unix_http import UnixConnection
from kit.ship.engine.identity import SeenImage
from kit.ship.engine.port import PullStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SILENCE = 1800
"""Seconds that an engine may be busy unpacking without a word."""


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn what the SDK and its HTTP library raise into EngineError."""
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (DockerException, HTTPError, OSError) as error:
        why = getattr(error, "explanation", None) or str(error)
        raise _refused(what, str(why)) from error


def _refused(what: str, why: str) -> EngineError:
    return EngineError(
        f"the engine did not {what}",
        why=why,
        fix="docker info, and the engine's log (journalctl -u docker)",
    )


def _refuse_error(line: dict[str, Any], where: str) -> None:
    if "error" in line:
        raise EngineError("the engine did not take in the image", where=where, why=str(line["error"]))


class DockerStore:
    """An engine's image store behind its socket."""

    def __init__(self, socket: str = SOCKET) -> None:
        self._socket = socket

    @cached_property
    def _api(self) -> Any:
        import docker

        return docker.APIClient(base_url=f"unix://{self._socket}", version="auto", timeout=SILENCE)

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
        found = self._image(reference)
        if found is None:
            return None
        layers = (found.get("RootFS") or {}).get("Layers") or ()
        tags, references = (tuple(found.get(key) or ()) for key in ("RepoTags", "RepoDigests"))
        return SeenImage(str(found["Id"]), tags, tuple(layers), references)

    def _image(self, reference: str) -> dict[str, Any] | None:
        connection = UnixConnection(self._socket, SILENCE)
        try:
            connection.request("GET", f"/images/{quote(reference, safe='/:@')}/json")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _refused(f"inspect {reference}", str(error)) from error
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        if answer.status != http.HTTPStatus.OK or not isinstance(body, dict):
            raise _refused(f"inspect {reference}", str(body)[:400])
        return body
