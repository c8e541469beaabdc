"""What is fuzzed. A target takes bytes and returns, or raises a KitError; anything else is a defect."""

from __future__ import annotations

import inspect
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from tests.fuzz import bundle_readers, other_readers, run_readers
from tests.fuzz.json_surgery import operate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Target = Callable[[bytes], None]


def _targets(module: ModuleType) -> dict[str, Target]:
    functions = inspect.getmembers(module, inspect.isfunction)
    return {
        name: item
        for name, item in functions
        if item.__module__ == module.__name__
        and list(inspect.signature(item).parameters) == ["data"]
        and name[0] != "_"
    }


READERS = _targets(bundle_readers) | _targets(other_readers) | _targets(run_readers)
CANONICAL = ("manifest", "volumes")
"""Refused but for the one way of writing them."""
OPERATED = (
    "manifest",
    "volumes",
    "lock",
    "order",
    "bill_of_materials",
    "kept_records",
    "image_config",
    "built_config",
    "registry_answer",
    "seen_bundles",
    "project",
)
"""Readers of JSON whose valid documents are changed place by place, too: `<reader>_operated`."""


@cache
def example(name: str) -> Any:
    """Return the valid document that is operated on."""
    from tests.fuzz.seeds import seeds

    return json.loads(seeds()[name][0])


def _operated(name: str) -> Target:
    def target(data: bytes) -> None:
        document = operate(example(name), data)
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=name not in CANONICAL)
        READERS[name](text.encode("utf-8", "surrogatepass") + b"\n")

    return target


TARGETS: dict[str, Target] = READERS | {f"{name}_operated": _operated(name) for name in OPERATED}


def run(name: str, data: bytes) -> None:
    """Run a target. Raises what is a defect, nothing else."""
    try:
        TARGETS[name](data)
    except KitError as error:
        str(error)
