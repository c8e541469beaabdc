"""The images that building left in a docker engine: listed, and removed one by one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kit.errors import EngineError
from kit.images.base_image import ROOT_LABEL
from kit.images.needed import INPUTS_LABEL, ImageHere

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT = 600
"""Seconds; an engine with many images takes long to tell how much each shares."""


@contextmanager
def _wrapped(what: str, where: str) -> Iterator[None]:
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        # A refusal says itself, in a sentence, what uses the image.
        why = str(error.explanation) if isinstance(error, APIError) else str(error)
        raise EngineError(what, where=where, why=why, fix="docker info; see DOCKER_HOST") from error


class DockerShelf:
    """The engine that DOCKER_HOST names, or this machine's. Nothing is asked before the first call."""

    def __init__(self) -> None:
        self._client: Any = None

    def _connected(self) -> Any:
        import docker

        if self._client is None:
            with _wrapped("the docker engine does not answer", "docker"):
                self._client = docker.from_env(version="auto", timeout=_TIMEOUT)
        return self._client

    def images(self) -> tuple[ImageHere, ...]:
        """Return every image of the engine. Raises EngineError."""
        client = self._connected()
        with _wrapped("docker cannot list its images", "docker"):
            found: list[dict[str, Any]] = client.df()["Images"] or []
        return tuple(_image(item) for item in found)

    def remove(self, reference: str) -> None:
        """Remove a tag, and the image with its last one. Raises EngineError, also when it is in use."""
        client = self._connected()
        with _wrapped("docker keeps the image", reference):
            client.api.remove_image(reference)


def _image(item: dict[str, Any]) -> ImageHere:
    labels = item.get("Labels") or {}
    tags = tuple(tag for tag in item.get("RepoTags") or () if tag != "<none>:<none>")
    size, shared = int(item.get("Size") or 0), int(item.get("SharedSize") or 0)
    own = size - shared if 0 < shared <= size else size
    return ImageHere(
        str(item["Id"]), tags, str(labels.get(INPUTS_LABEL, "")), str(labels.get(ROOT_LABEL, "")), own
    )
