"""Which GPUs of a host a container is given: of those that kit.yaml gives, none that a running job holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError, UnfitError

if TYPE_CHECKING:
    from kit.host.facts import Held, HostFacts
    from kit.project.model import HostSpec


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """What compose reserves: a count, or certain ids."""

    count: int
    ids: tuple[str, ...] = ()
    """Empty when any `count` GPUs will do, because nobody knows which there are."""


@dataclass(frozen=True, slots=True)
class GpuAsker:
    """The job that asks."""

    job: str = ""
    gpus: int | str | None = None
    """What kit.yaml gives the job: a count, ids, or None for all that it can use."""
    container: str = ""
    """Its container's name: what an earlier run of it holds is free for it."""


def gpu_count(spec: HostSpec) -> int:
    """Return how many GPUs kit.yaml gives of a host."""
    return spec.gpus if isinstance(spec.gpus, int) else len(spec.gpus.split(","))


def request_gpus(
    host: str, spec: HostSpec, facts: HostFacts, wanted: int | None = None, asker: GpuAsker | None = None
) -> GpuRequest:
    """Return the request for `wanted` GPUs of a host (None: all that kit.yaml gives to host and job).

    Raises ConfigError when kit.yaml gives fewer, UnfitError when the host has fewer, or when other jobs
    of kit that run there hold them.
    """
    given = gpu_count(spec)
    key = f"hosts.{host}.gpus"
    if given == 0:
        raise ConfigError(
            "a GPU stack needs GPUs, and none is given",
            where=key,
            fix=f'give a count or ids, e.g. gpus: 4 or gpus: "0,1" in {key}',
        )
    asker = asker or GpuAsker()
    named = tuple(asker.gpus.split(",")) if isinstance(asker.gpus, str) else ()
    count = _count(given, asker, named, wanted)
    if count > given:
        where = key if asker.gpus is None else f"jobs.{asker.job}.gpus"
        raise ConfigError(f"{count} GPUs are needed, {given} given", where=where, fix=f"raise {key}")
    ids = () if isinstance(spec.gpus, int) else tuple(spec.gpus.split(","))
    _check_presence(host, key, GpuRequest(given if ids else count, ids), facts)
    pool = ids or tuple(str(gpu.index) for gpu in facts.gpus[:given])
    if named:
        _check_named(asker.job, named, pool, host, facts)
        return _free(host, GpuRequest(count, named), facts, asker)
    return _free(host, GpuRequest(count, pool), facts, asker) if pool else GpuRequest(count)


def _count(given: int, asker: GpuAsker, named: tuple[str, ...], wanted: int | None) -> int:
    own = len(named) if named else asker.gpus if isinstance(asker.gpus, int) else None
    if own is not None and wanted is not None and (own < wanted or (named and own != wanted)):
        raise ConfigError(
            f"{wanted} GPUs are needed, {own} given",
            where=f"jobs.{asker.job}.gpus",
            fix=f"gpus: {wanted} in jobs.{asker.job}, or none: it takes as many as it needs",
        )
    return wanted if wanted is not None else own if own is not None else given


def _check_named(
    job: str, named: tuple[str, ...], pool: tuple[str, ...], host: str, facts: HostFacts
) -> None:
    if not pool:
        return
    known = {_same(gpu, facts) for gpu in pool}
    strange = [gpu for gpu in named if _same(gpu, facts) not in known]
    if strange:
        raise ConfigError(
            f"GPU {', '.join(strange)} is not among those that kit.yaml gives of {host}: {', '.join(pool)}",
            where=f"jobs.{job}.gpus",
            fix=f"name some of these, or add it to hosts.{host}.gpus",
        )


def _free(host: str, among: GpuRequest, facts: HostFacts, asker: GpuAsker) -> GpuRequest:
    """Return `among.count` of these ids that nobody holds; those that the job holds already come first."""
    holders = {
        _same(gpu, facts): one.container
        for one in facts.held
        for gpu in one.gpus
        if one.container != asker.container
    }
    own = {_same(gpu, facts) for one in facts.held for gpu in one.gpus if one.container == asker.container}
    free = [gpu for gpu in among.ids if _same(gpu, facts) not in holders]
    if len(free) < among.count:
        taken = {gpu: holders[_same(gpu, facts)] for gpu in among.ids if gpu not in free}
        raise _taken(host, among, free, taken, facts.held)
    mine = [gpu for gpu in free if _same(gpu, facts) in own]
    chosen = set((mine if len(mine) == among.count else free)[: among.count])
    return GpuRequest(among.count, tuple(gpu for gpu in among.ids if gpu in chosen))


def _taken(
    host: str, among: GpuRequest, free: list[str], taken: dict[str, str], held: tuple[Held, ...]
) -> UnfitError:
    jobs = {one.container: one.job for one in held}
    holding = dict.fromkeys(jobs[container] for container in taken.values())
    return UnfitError(
        f"{among.count} GPUs are needed, and {len(free)} of {', '.join(among.ids)} are free",
        where=host,
        why="; ".join(f"GPU {gpu} is held by job {jobs[of]} ({of})" for gpu, of in taken.items()),
        fix=f"kit down {', kit down '.join(holding)}, or give both jobs fewer: gpus in jobs of kit.yaml",
    )


def _same(gpu: str, facts: HostFacts) -> str:
    """Return one name for a GPU, whether it is called by index or by UUID."""
    return next((str(one.index) for one in facts.gpus if gpu == one.uuid), gpu)


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
