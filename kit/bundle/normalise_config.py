"""An image's config without what differs from one build to the next. Pure.

What a container gets of it (environment, command, user, labels …) stays as it is; dates, and what
the building engine noted about itself, go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

CREATED = "1980-01-02T00:00:00Z"
"""The time that every file of a normalised layer has, too."""
_KEPT = ("architecture", "author", "config", "history", "os", "os.features", "os.version", "variant")
"""All that the OCI image-spec knows, but times and layers. An engine's own (`container`, `container_config`,
`docker_version`, `moby.buildkit.*`) is not among them."""
_BUILD_HOST = ("Hostname", "Domainname", "Image")
"""Left by the container that a step ran in, and the ID of the image that it ran on."""


def normalised_config(config: bytes, diff_ids: Iterable[str]) -> bytes:
    """Return the config of the image made of these layers. Doing it twice changes nothing more.

    Raises VerificationError when the bytes are no config.
    """
    try:
        document: dict[str, Any] = json.loads(config)
        kept = {key: value for key, value in document.items() if key in _KEPT}
        kept["created"] = CREATED
        kept["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
        settings = kept.get("config")
        if isinstance(settings, dict):
            kept["config"] = {key: value for key, value in settings.items() if key not in _BUILD_HOST}
        if kept.get("history"):
            kept["history"] = [{**entry, "created": CREATED} for entry in kept["history"]]
        return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise VerificationError(
            "an image's config is no config", where="docker save", why=str(error)
        ) from error
