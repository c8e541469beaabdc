"""Which GPUs of a host a container is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError, UnfitError

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.project.model import HostSpec


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """What compose reserves: a count, or certain ids."""

    count: int
    ids: tuple[str, ...] = ()
    """Empty when any `count` GPUs will do."""


def gpu_count(spec: HostSpec) -> int:
    """Return how many GPUs kit.yaml gives of a host."""
    return spec.gpus if isinstance(spec.gpus, int) else len(spec.gpus.split(","))


def request_gpus(host: str, spec: HostSpec, facts: HostFacts, wanted: int | None = None) -> GpuRequest:
    """Return the request for `wanted` GPUs of a host (None: all that kit.yaml gives).

    Raises ConfigError when kit.yaml gives fewer, UnfitError when the host has fewer.
    """
    given = gpu_count(spec)
    key = f"hosts.{host}.gpus"
    if given == 0:
        raise ConfigError(
            "a GPU stack needs GPUs, and none is given",
            where=key,
            fix=f'give a count or ids, e.g. gpus: 4 or gpus: "0,1" in {key}',
        )
    count = given if wanted is None else wanted
    if count > given:
        raise ConfigError(f"{count} GPUs are needed, {given} given", where=key, fix=f"raise {key}")
    ids = () if isinstance(spec.gpus, int) else tuple(spec.gpus.split(","))[:count]
    _check_presence(host, key, GpuRequest(count, ids), facts)
    return GpuRequest(count, ids)


def _check_presence(host: str, key: str, request: GpuRequest, facts: HostFacts) -> None:
    # Without nvidia-smi on the host nothing is known; `kit check` speaks about that.
    if not facts.gpus:
        return
    known = {str(gpu.index) for gpu in facts.gpus} | {gpu.uuid for gpu in facts.gpus}
    missing = [gpu for gpu in request.ids if gpu not in known]
    if missing or request.count > len(facts.gpus):
        what = f"no GPU {', '.join(missing)}" if missing else f"{request.count} GPUs asked for"
        raise UnfitError(
            f"{what}; the host has {len(facts.gpus)}",
            where=f"{host} ({key})",
            fix=f"nvidia-smi -L on {host} lists them; correct {key}",
        )
