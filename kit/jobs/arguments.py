"""A job's `args`: the user's word for LLaMA-Factory or the serving engine, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kit.errors import ConfigError

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*$")
# YAML 1.1 reads 1e-4 as text (it wants 1.0e-4); everybody means the number.
_EXPONENT = re.compile(r"^[+-]?\d+(\.\d*)?[eE][+-]?\d+$")


def is_exponent(text: str) -> bool:
    """Return whether a text is a number such as `1e-4`, which YAML 1.1 reads as text."""
    return bool(_EXPONENT.match(text))


def plain_value(value: Any, key: str) -> Any:
    """Return a value made of what YAML and JSON share; `"1e-4"` becomes the number.

    Raises ConfigError for a date or anything else that has no plain form.
    """
    if isinstance(value, str):
        return float(value) if is_exponent(value) else value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain_value(item, f"{key}.{k}") for k, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item, f"{key}[{i}]") for i, item in enumerate(value)]
    raise ConfigError(
        f"a {type(value).__name__} is neither text, number, list nor mapping",
        where=key,
        fix="put it in quotes",
    )


def own_arguments(name: str, args: Mapping[str, Any], owned: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's `args`, ready to be written.

    `owned` maps what kit sets itself to where the user says it instead. Raises ConfigError.
    """
    found = {}
    for argument, value in args.items():
        key = f"jobs.{name}.args.{argument}"
        if not _NAME.match(argument):
            raise ConfigError("not an argument's name", where=key, fix="leave out leading dashes and spaces")
        reason = owned.get(argument.replace("-", "_"))
        if reason:
            raise ConfigError("not for args", where=key, why=reason, fix=f"remove {key}")
        found[argument] = plain_value(value, key)
    return found


def is_on(value: Any) -> bool:
    """Return whether an argument switches something on; LLaMA-Factory also takes the text `true`."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "yes", "1"))
