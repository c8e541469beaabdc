"""Templates to text. Every value goes through a filter that quotes it; nothing is pasted raw.

`yaml` writes any value as YAML that parses back to the same value, also for the YAML 1.1 readers in
compose 1.29 and LLaMA-Factory. `compose` does so with `$` doubled, since compose replaces `$NAME`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder

if TYPE_CHECKING:
    from jinja2 import Environment

_PRINTABLE = re.compile(r"[ !#-\[\]-~]*")
"""Text that stands between YAML's double quotes as it is: printable ASCII but the quote and the backslash.
Nearly every value is such a text, and PyYAML takes 40 microseconds to write one.
"""


def yaml_value(value: Any) -> str:
    """Return a value as one line of YAML. Raises TypeError for what YAML has no plain form of."""
    import yaml

    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return f'"{value}"' if _PRINTABLE.fullmatch(value) else _quoted(value)
    if isinstance(value, int | float):
        return str(value) if type(value) is int else yaml.safe_dump(value).split("\n", 1)[0]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_value(k)}: {yaml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no plain YAML form")


def _quoted(text: str) -> str:
    import yaml

    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf).rstrip("\n")


def compose_value(value: Any) -> str:
    """Return a value as YAML in which compose replaces nothing."""
    return yaml_value(value).replace("$", "$$")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # No autoescape: the output is YAML or JSON, and HTML entities would corrupt it.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(data_folder("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = yaml_value
    environment.filters["compose"] = compose_value
    return environment


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a template of `templates/` filled with values; a value it lacks raises UndefinedError."""
    return _environment().get_template(template).render(values)
