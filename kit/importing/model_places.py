"""Where models are and who made them, by the paths and names that users wrote. Pure."""

from __future__ import annotations

import re
from posixpath import normpath
from typing import TYPE_CHECKING, Any

from kit.jobs.places import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.importing.draft import ModelPlace


def is_same(one: str, other: str) -> bool:
    """Return whether two paths, both given, are one."""
    return bool(one and other) and normpath(one) == normpath(other)


def made_by(path: str, made_at: str) -> bool:
    """Return whether a path is what a training made, or a checkpoint in it."""
    if not path or not made_at:
        return False
    inside = normpath(path).removeprefix(normpath(made_at))
    return inside == "" or re.fullmatch(r"/checkpoint-\d+", inside) is not None


def shipped_name(place: ModelPlace) -> str:
    """Return the name of a model that kit shipped, as LLaMA Board's arguments have it; empty for others."""
    found = re.fullmatch(rf"{MODELS}/([^/]+)/?", place.name)
    return found[1] if found else ""


def model_spec(place: ModelPlace) -> dict[str, str]:
    """Return the entry of kit.yaml for a model."""
    if place.is_path:
        return {"source": "folder", "path": place.name}
    source = "modelscope" if place.modelscope else "huggingface"
    revision = place.revision or ("master" if place.modelscope else "main")
    return {"source": source, "repo": place.name, "revision": revision}


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value of YAML, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
