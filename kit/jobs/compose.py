"""A compose file with one service: values in, text out, and the text read back.

The file suits `docker compose` v2 and docker-compose 1.29: no `version` (v2 warns, 1.29 does
without), no `name`, long mounts, which fail on a missing folder where short ones would create it as root.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.jobs.render import render
from kit.own_yaml import read_own_yaml

if TYPE_CHECKING:
    from kit.jobs.gpus import GpuRequest
    from kit.jobs.places import Mount

FILE = "compose.yaml"


@dataclass(frozen=True, slots=True)
class Service:
    """What the one container of a compose file is."""

    name: str
    image: str
    container_name: str
    user: str
    """`UID:GID`; empty for the image's own user."""
    command: tuple[str, ...]
    """All words, the program first; empty for the image's own."""
    environment: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]
    labels: tuple[tuple[str, str], ...]
    gpus: GpuRequest | None = None
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address) pairs; with any, the container's hosts file holds these alone."""
    ports: tuple[str, ...] = ()
    """`ADDRESS:PORT:PORT`, for a service on a network of its own."""


def compose_yaml(kind: str, service: Service) -> str:
    """Return the compose file of a job of that kind (`templates/compose/KIND.yaml.j2`).

    Raises KitError (a bug in kit or a template) when the text does not read back as the service.
    """
    text = render(f"compose/{kind}.yaml.j2", {"service": asdict(service)}).replace("\n\n", "\n")
    _check(text, service)
    return text


def _check(text: str, service: Service) -> None:
    document = read_own_yaml(text)
    found = document["services"][service.name]
    seen, expected = _seen(found), _expected(service)
    for part, value in expected.items():
        if _undoubled(seen[part]) != value:
            raise KitError(
                f"the rendered {part} are not the ones asked for", where=FILE, why=repr(seen[part])
            )
    stray = set(document) - {"services", "volumes"}
    if stray:
        raise KitError(f"{', '.join(sorted(stray))} slipped out of the service", where=FILE)


def _seen(found: dict[str, Any]) -> dict[str, Any]:
    binds = [mount for mount in found.get("volumes", []) if mount["type"] == "bind"]
    return {
        "image": found["image"],
        "user": found.get("user", ""),
        "words": found.get("entrypoint", []) + found.get("command", []),
        "environment": found["environment"],
        "labels": found["labels"],
        "mounts": [[mount["source"], mount["target"], mount["read_only"]] for mount in binds],
        "extra_hosts": found.get("extra_hosts", []),
        "ports": found.get("ports", []),
        "devices": found.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", []),
    }


def _expected(service: Service) -> dict[str, Any]:
    return {
        "image": service.image,
        "user": service.user,
        "words": list(service.command),
        "environment": dict(service.environment),
        "labels": dict(service.labels),
        "mounts": [[mount.source, mount.target, mount.read_only] for mount in service.mounts],
        "extra_hosts": [f"{name}:{address}" for name, address in service.extra_hosts],
        "ports": list(service.ports),
        "devices": [_device(service.gpus)] if service.gpus else [],
    }


def _device(gpus: GpuRequest) -> dict[str, Any]:
    which = {"device_ids": list(gpus.ids)} if gpus.ids else {"count": gpus.count}
    return {"driver": "nvidia", **which, "capabilities": ["gpu"]}


def _undoubled(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _undoubled(item) for key, item in value.items()}
    return [_undoubled(item) for item in value] if isinstance(value, list) else value
