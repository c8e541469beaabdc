"""What a program was given, and whether its parser made the same of it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def given_flags(words: Sequence[str]) -> dict[str, list[str]]:
    """Return flag → its values, as texts, of a command line: `--a=1`, `--a 1 2` or a switch, `--a`."""
    given: dict[str, list[str]] = {}
    flag = ""
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            given.setdefault(flag, []).extend([value] if equals else [])
        else:
            given[flag].append(word)
    return given


def different(given: Mapping[str, Any], parsed: Mapping[str, Any]) -> list[str]:
    """Return a line for each name whose value was not understood as it was given, or not at all.

    A flag's values are a list of texts; an empty list is a switch that is on. Values of YAML are themselves.
    """
    return [
        f"{name}: given {value!r}, parsed {parsed.get(name)!r}"
        for name, value in given.items()
        if name not in parsed or not _same(value, parsed[name])
    ]


def _same(given: Any, parsed: Any) -> bool:
    if isinstance(given, list):
        return _same_flag(given, parsed)
    if isinstance(parsed, list):
        # LLaMA-Factory splits at commas, transformers at spaces, and `none` of the trackers is an empty list.
        return given == "none" if not parsed else str(given).replace(",", " ").split() == parsed
    return bool(given == parsed) and isinstance(given, bool) == isinstance(parsed, bool)


def _same_flag(values: list[str], parsed: Any) -> bool:
    if not values:
        return parsed is True
    if isinstance(parsed, Mapping | list):
        return values == _texts(parsed) or (len(values) == 1 and _json(values[0]) == parsed)
    if len(values) != 1 or isinstance(parsed, bool):
        return False
    if isinstance(parsed, int | float):
        return float(values[0]) == parsed
    return bool(values[0] == parsed)


def _texts(parsed: Mapping[str, Any] | list[Any]) -> list[str]:
    """Return values as a command line has them; vLLM keeps an adapter as an object, SGLang in a mapping."""
    if isinstance(parsed, Mapping):
        return [f"{name}={value}" for name, value in parsed.items()]
    return [f"{each['name']}={each['path']}" if isinstance(each, Mapping) else str(each) for each in parsed]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
