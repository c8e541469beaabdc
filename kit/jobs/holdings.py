"""What a job has to itself on a host while it runs: GPUs, and the port where its ranks meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError, UnfitError
from kit.jobs.gpus import GpuAsker, GpuRequest, request_gpus
from kit.jobs.versions import has_gpus

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.jobs.share import Place
    from kit.project.model import Project

PORTS = range(29500, 29600)
"""Where ranks meet unless kit.yaml says it."""


def check_gpus_key(project: Project, name: str) -> None:
    """Raise ConfigError for GPUs given to a job in a stack that has none."""
    if getattr(project.jobs[name], "gpus", None) is not None and not has_gpus(project):
        key = f"jobs.{name}.gpus"
        raise ConfigError(f"stack {project.stack} works without GPUs", where=key, fix=f"remove {key}")


def place_gpus(place: Place, wanted: int | None = None) -> GpuRequest:
    """Return the GPUs that a job is given on a host (`wanted`: as many; None: all that it may have).

    Raises ConfigError or UnfitError.
    """
    asker = GpuAsker(place.name, getattr(place.job, "gpus", None), place.compose_project)
    return request_gpus(place.host, place.spec, place.facts, wanted, asker)


def meeting_port(given: int | None, host: str, facts: HostFacts, container: str) -> int:
    """Return where the ranks of a training meet: as kit.yaml says, or the first port that is free there.

    `container` is the training's own there, and what it holds is free for it. Raises UnfitError.
    """
    if given is not None:
        return given
    own = next((one.port for one in facts.held if one.container == container), None)
    if own is not None:
        return own
    held = {one.port for one in facts.held}
    free = (port for port in PORTS if port not in held and port not in facts.listening)
    port = next(free, None)
    if port is None:
        raise UnfitError(
            f"no port from {PORTS[0]} to {PORTS[-1]} is free for the ranks to meet",
            where=host,
            fix="ss -ltnp there tells who has them; or name another as port in the job",
        )
    return port
