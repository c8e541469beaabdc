"""A host's driver and cards against the rules of `images/rules.yaml`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.rules.evaluate import Broken, broken_rules
from kit.rules.rule import load_rules

if TYPE_CHECKING:
    from kit.host.facts import HostFacts

_REQUIRE = "NVIDIA_REQUIRE_CUDA"


@dataclass(frozen=True, slots=True)
class GpuJob:
    """A job that is given GPUs."""

    image: str
    """Name of its image, e.g. `train`."""
    env: tuple[tuple[str, str], ...] = ()
    """What kit.yaml sets for it."""


def gpu_facts(facts: HostFacts, cuda: str, env: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Return what the rules about hosts look at. `env` is what a container starts with."""
    found = {"cuda": (cuda,), "gpu": tuple(gpu.name for gpu in facts.gpus)}
    if facts.driver_version:
        found["driver"] = (facts.driver_version,)
    if env.get(_REQUIRE):
        found["require_cuda"] = (env[_REQUIRE],)
    return found | {f"env.{name}": (value,) for name, value in env.items() if value}


def broken_gpu_rules(facts: HostFacts, cuda: str, jobs: tuple[GpuJob, ...]) -> tuple[Broken, ...]:
    """Return the rules that a host breaks, each once, for containers of these jobs.

    `cuda` is the release that the stack's images hold.
    """
    found: dict[str, Broken] = {}
    for job in jobs or (GpuJob(""),):
        env = _image_env(facts, job.image) | dict(job.env)
        for broken in broken_rules(load_rules(), "host", gpu_facts(facts, cuda, env)):
            found.setdefault(broken.what, broken)
    return tuple(found.values())


def _image_env(facts: HostFacts, image: str) -> dict[str, str]:
    """Return the variables that the engine's image of that name sets."""
    mine = (text for tag, text in facts.image_env if tag.startswith(f"kit.invalid/{image}:"))
    return {name: value for name, _, value in (text.partition("=") for text in mine)}
