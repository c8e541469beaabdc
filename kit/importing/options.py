"""Words of a command line as options and the rest; texts as the values that they stand for. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_OPTION = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)")
_BROKEN = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Option:
    """`--name value`, in any of its spellings."""

    given: str
    """As it was written, without its value: `--max_model_len`."""
    name: str
    """Without leading dashes, dashes as underscores."""
    values: tuple[str, ...]
    """Empty for a switch."""


@dataclass(frozen=True, slots=True)
class Line:
    """A command line, taken apart."""

    options: tuple[Option, ...]
    rest: tuple[str, ...]

    def last(self, *names: str) -> str | None:
        """Return the value of the last option of these names; None when there is none."""
        found = [option for option in self.options if option.name in names and option.values]
        return found[-1].values[-1] if found else None

    def has(self, *names: str) -> bool:
        """Return whether one of these options is there."""
        return any(option.name in names for option in self.options)


def read_options(
    words: Iterable[str], *, switches: Collection[str] = (), lists: Collection[str] = (), stops: bool = False
) -> Line:
    """Return options and the rest. A switch takes no value, a list takes all words up to the next option.

    With `stops`, options end at the first word that is none, as those of a launcher do.
    """
    left = list(words)
    options: list[Option] = []
    rest: list[str] = []
    while left:
        word = left.pop(0)
        found = _OPTION.fullmatch(word)
        if word == "--" or (found is None and stops):
            rest += left if word == "--" else [word, *left]
            break
        if found is None:
            rest.append(word)
            continue
        name = found[1].lstrip("-").replace("-", "_")
        values = [found[2]] if found[2] is not None else []
        if not values and name not in switches:
            most = len(left) if name in lists else 1
            while left and len(values) < most and not _OPTION.fullmatch(left[0]) and left[0] != "--":
                values.append(left.pop(0))
        options.append(Option(found[1], name, tuple(values)))
    return Line(tuple(options), tuple(rest))


def typed(text: str) -> Any:
    """Return the truth, number or mapping that a text stands for, or the text.

    A text that YAML alone would take for something else (`yes`, `012`, a date) stays a text.
    """
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if _WHOLE.fullmatch(text) and len(text) < 19:  # noqa: PLR2004 - what every reader of numbers holds
        return int(text)
    if _BROKEN.fullmatch(text) and len(text) < 24 and not text.isdigit():  # noqa: PLR2004
        value = float(text)
        return value if value not in (float("inf"), float("-inf")) else text
    if text.startswith("{"):
        try:
            return json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            return text
    return text
