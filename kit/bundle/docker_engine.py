"""Images of a docker engine: the one that DOCKER_HOST names, or this machine's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kit.bundle.digest import CHUNK
from kit.bundle.engine import EngineImage
from kit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

SAVE_TIMEOUT = 3600
"""Seconds without a byte. Engines before 25 write the whole archive down before the first one."""


@contextmanager
def _wrapped(what: str, where: str) -> Iterator[None]:
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ImageNotFound as error:
        raise EngineError("the engine has no such image", where=where, fix="kit bundle builds it") from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise EngineError(what, where=where, why=str(error), fix="docker info; see DOCKER_HOST") from error


class DockerEngine:
    """The ImageSource of a docker engine. Nothing is asked before the first call."""

    def __init__(self, host: str | None = None) -> None:
        """Use the engine at `host` (`unix:///…`, `tcp://…`, `ssh://…`), or what the environment says."""
        self._host = host
        self._client: Any = None

    def _connected(self) -> Any:
        import docker

        if self._client is None:
            with _wrapped("the docker engine does not answer", self._host or "docker"):
                if self._host:
                    self._client = docker.DockerClient(
                        base_url=self._host, version="auto", timeout=SAVE_TIMEOUT
                    )
                else:
                    self._client = docker.from_env(version="auto", timeout=SAVE_TIMEOUT)
        return self._client

    def inspect(self, reference: str) -> EngineImage:
        """Return the image of that name or ID. Raises EngineError."""
        client = self._connected()
        with _wrapped("docker cannot describe the image", reference):
            found: dict[str, Any] = client.api.inspect_image(reference)
        layers = (found.get("RootFS") or {}).get("Layers") or ()
        return EngineImage(found["Id"], tuple(layers), int(found.get("Size") or 0))

    def save(self, image_id: str) -> Iterator[bytes]:
        """Yield what `docker save` writes. Raises EngineError, also while reading."""
        client = self._connected()
        with _wrapped("docker save failed", image_id):
            yield from client.api.get_image(image_id, chunk_size=CHUNK)

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
