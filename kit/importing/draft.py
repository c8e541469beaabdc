"""What one command becomes, before names are given and hosts are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kit.errors import ConfigError
from kit.importing.change import Changes

ReadText = Callable[[str], "str | None"]
"""Path as the user wrote it → the file's text; None when it cannot be read."""


@dataclass(slots=True)
class Invocation:
    """A command without its wrappers, and what they said."""

    words: tuple[str, ...]
    env: dict[str, str]
    where: str
    read: ReadText
    changes: Changes = field(default_factory=Changes)
    mounts: tuple[tuple[str, str], ...] = ()
    """(path in the container, path on its host) of `docker run -v`."""
    hosts: int = 1
    gpus: int | str | None = None
    """A count or ids on each host; None when nothing was said."""
    address: str = ""
    """Of the first host."""
    port: int | None = None
    """Where ranks meet."""
    published: tuple[tuple[str, int, int], ...] = ()
    """(address, port of the host, port in the container) of `docker run -p`."""
    args: dict[str, Any] = field(default_factory=dict)
    """LLaMA-Factory arguments that the launcher implies."""
    image: str = ""
    """Of `docker run`."""
    unknown: tuple[str, ...] = ()
    """What a running shell would have put something else in the place of."""

    def on_host(self, path: str) -> str:
        """Return a path of the container as its host has it."""
        for inside, outside in sorted(self.mounts, key=lambda mount: -len(mount[0])):
            if path == inside or path.startswith(inside.rstrip("/") + "/"):
                return outside.rstrip("/") + path[len(inside.rstrip("/")) :]
        return path

    def text_of(self, path: str) -> str | None:
        """Return what a file says, the path being the container's or the host's."""
        return self.read(self.on_host(path))

    def refusal(self, what: str, why: str, fix: str) -> ConfigError:
        """Return the error for what kit has no job for."""
        return ConfigError(what, where=self.where, why=why, fix=fix)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model is, as the user said it."""

    name: str
    """A path, or a repository of a hub."""
    revision: str = ""
    modelscope: bool = False

    @property
    def is_path(self) -> bool:
        """Whether this is a folder, not a repository."""
        parts = self.name.split("/")
        return len(parts) != 2 or self.name.startswith((".", "/", "~", "$")) or not all(parts)  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Draft:
    """A job to be: what kit.yaml says of it but for its hosts, and what it refers to."""

    invocation: Invocation
    kind: str
    body: dict[str, Any]
    """The job's keys, in their order, without kind, hosts, model, datasets and from."""
    model: ModelPlace | None = None
    datasets: tuple[tuple[str, dict[str, Any]], ...] = ()
    """(name, entry of kit.yaml)"""
    made_at: str = ""
    """Where the user's command put what it made."""
    made_from: str = ""
    """The adapter that is merged, by its path."""
    judge: str = ""
    """The reward model that PPO asks, by its path."""
    calibration: tuple[str, dict[str, Any]] | None = None
    """(name, entry of kit.yaml) of the text that an export quantises with."""
    packages: tuple[str, ...] = ()
