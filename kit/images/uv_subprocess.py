"""Runs uv: the one that was installed with kit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kit.errors import ConfigError, TransferError

if TYPE_CHECKING:
    from kit.images.uv_command import UvCommand

_LAST_LINES = 15


class UnsolvableError(TransferError):
    """No set of packages that the indexes have fulfils the requirements."""


class Installer(Protocol):
    """Runs a command of `kit.images.uv_command`."""

    def run(self, command: UvCommand) -> str:
        """Return what it printed. Raises TransferError when packages cannot be had, or UnsolvableError."""

    def wheel_files(self) -> tuple[str, ...]:
        """Return the names of the files in the local wheel folders that uv is told of."""


class UvSubprocess:
    """Runs uv as a subprocess."""

    def run(self, command: UvCommand) -> str:
        """Return what it printed. Raises TransferError when packages cannot be had, or UnsolvableError."""
        done = subprocess.run(
            command.argv,
            env={**os.environ, **dict(command.env)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        if "No module named uv" in done.stderr:
            raise ConfigError("uv is not installed beside kit", why=command.argv[0], fix="pip install uv")
        last = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
        # uv's own words; its exit code is 1 for this and 2 for what it could not fetch, today.
        kind = UnsolvableError if "No solution found" in done.stderr else TransferError
        raise kind(
            "packages cannot be had",
            where="uv",
            why=last,
            fix="set mirrors.pip in kit.yaml (or UV_DEFAULT_INDEX, UV_FIND_LINKS) to an index within reach",
        )

    def wheel_files(self) -> tuple[str, ...]:
        """Return the names of the files in the local wheel folders that uv is told of."""
        links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS") or ""
        folders = [Path(place) for place in links.replace(",", " ").split() if Path(place).is_dir()]
        return tuple(file.name for folder in folders for file in folder.iterdir())
