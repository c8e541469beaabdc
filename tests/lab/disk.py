"""A host's own disk made full and empty again."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.namespaces import file_system_of

if TYPE_CHECKING:
    from tests.lab.state import LabHost

FILLER = "aisys/.filler"
MEGABYTE = 1_000_000
TRIES = 5


def fill(host: LabHost, leave_megabytes: int) -> int:
    """Fill the disk of a host's /aisys but for so many megabytes; return the bytes that are left."""
    if not host.disk:
        raise LabError(f"{host.name} has no disk of its own to fill: `down`, then `up --host … --disk 2G`")
    path = file_system_of(host.name) / FILLER
    with path.open("wb") as file:
        for _ in range(TRIES):
            more = _free(host) - leave_megabytes * MEGABYTE
            with suppress(OSError):  # whoever writes there meanwhile has taken the room
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size + max(more, 1))
                break
    return _free(host)


def empty(host: LabHost) -> int:
    """Take away what `fill` put there; return the bytes that are free."""
    (file_system_of(host.name) / FILLER).unlink(missing_ok=True)
    return _free(host)


def _free(host: LabHost) -> int:
    said = os.statvfs(file_system_of(host.name) / "aisys")
    return said.f_bavail * said.f_frsize
