"""Whether a value is one that an argument or a flag takes. Pure.

LLaMA-Factory's YAML is handed to dataclasses as it is: nothing turns the text `"8"` into a number, and the
text `"false"` counts as true. A flag's value is text on a command line: there `8` and `"8"` are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from kit.jobs.arguments import is_exponent

if TYPE_CHECKING:
    from kit.jobs.argument_table import Argument

_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "mapping": "a mapping",
    "size": "a whole number, or one such as 8k or 2M",
    "auto": "auto",
    "json": "a mapping or list",
    "null": "null",
}
_WHOLE = re.compile(r"[+-]?\d+")
_SIZE = re.compile(r"-?\d+|\d+(\.\d+)?[kKmMgGtT]")
_SECRET = re.compile(r"TOKEN(?!S|I)|KEY(?!S)|PASSWORD|SECRET", re.IGNORECASE)
"""Names of arguments whose values are not shown."""
_SHOWN = 24
"""So many choices at most are named."""


def wrong_value(argument: Argument, value: Any) -> tuple[str, str, str] | None:
    """Return what is wrong with a value, why, and what to write; None when nothing is."""
    if argument.takes:
        return _wrong_flag(argument, value)
    if not any(_is(kind, value) for kind in argument.kinds):
        return _wrong_kind(argument, value)
    return _wrong_choice(argument, (value,))


def _said(argument: Argument, value: Any) -> str:
    """Return a value as YAML has it: `true`, `null`, `'text'`; what may be a secret is not told."""
    if _SECRET.search(argument.name) and value is not None and not isinstance(value, bool):
        return "the value"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "list": (list, tuple),
    "mapping": (Mapping,),
    "null": (type(None),),
    "any": (object,),
}


def _is(kind: str, value: Any) -> bool:
    """Tell whether a value of a YAML file is of a kind."""
    if kind == "bool":
        return isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "float":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number or (isinstance(value, str) and is_exponent(value))
    return isinstance(value, _TYPES.get(kind, ()))


def _wrong_kind(argument: Argument, value: Any) -> tuple[str, str, str]:
    words = " or ".join(dict.fromkeys(_WORDS.get(kind, kind) for kind in argument.kinds))
    if argument.choices and isinstance(value, bool):
        found = _choices(argument)
        return (
            f"{_said(argument, value)} is none of the choices",
            "YAML reads a bare no, off, yes, on as false or true",
            found,
        )
    fix = f"write {words}"
    if isinstance(value, str) and {"int", "float", "bool"} & set(argument.kinds):
        fix = f"write {words}, without quotes"
    elif isinstance(value, float) and value.is_integer() and "int" in argument.kinds:
        fix = f"write {int(value)}"
    elif "str" in argument.kinds and not isinstance(value, Mapping | list | tuple | None):
        fix = f"put it in quotes: {argument.name}: '{_said(argument, value)}'"
    return f"{_said(argument, value)} is not what it takes", f"it takes {words}", fix


def _wrong_choice(argument: Argument, values: tuple[Any, ...]) -> tuple[str, str, str] | None:
    listed = [str(choice) for choice in argument.choices]
    for value in values:
        # Where a function of the engine reads the text, it forgives capitals and dashes.
        text = str(value).lower().replace("-", "_") if "any" in argument.kinds else str(value)
        if not listed or value is None or text in listed:
            continue
        close = get_close_matches(str(value), listed, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        return f"{_said(argument, value)} is none of the choices", hint, _choices(argument)
    return None


def _choices(argument: Argument) -> str:
    listed = [f"'{choice}'" if choice in ("no", "off") else str(choice) for choice in argument.choices]
    more = f", and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"one of {', '.join(listed[:_SHOWN])}{more}"


def _wrong_flag(argument: Argument, value: Any) -> tuple[str, str, str] | None:
    if value is None:  # the flag is left out
        return None
    if argument.takes in ("switch", "toggle"):
        return _wrong_switch(argument, value)
    if argument.takes == "maybe" and value is True:
        return None
    several = argument.takes in ("many", "append") and isinstance(value, list | tuple)
    values = tuple(value) if several else (value,)
    for item in values:
        as_json = several and isinstance(item, Mapping) and "str" in argument.kinds
        if not as_json and not any(_is_text_of(kind, item) for kind in argument.kinds):
            words = " or ".join(dict.fromkeys(_WORDS.get(kind, kind) for kind in argument.kinds))
            return f"{_said(argument, item)} is not what it takes", f"it takes {words}", f"write {words}"
    return _wrong_choice(argument, values)


def _wrong_switch(argument: Argument, value: Any) -> tuple[str, str, str] | None:
    if not isinstance(value, bool):
        return (
            f"{_said(argument, value)} is not what it takes",
            "it is a switch",
            f"write {argument.name}: true",
        )
    if not value and argument.takes == "switch":
        return (
            "this switch cannot be switched off",
            "the engine's parser knows no word for it",
            "leave it out",
        )
    return None


def _is_text_of(kind: str, value: Any) -> bool:
    """Tell whether what is written for a value on a command line is of a kind."""
    if kind == "any":
        return True
    if kind == "json":
        return isinstance(value, Mapping | list | tuple | str)
    if isinstance(value, bool | Mapping | list | tuple) or value is None:
        return False
    text = str(value)
    if kind == "auto":
        return text in ("auto", "-1")
    if kind == "float":
        return _is_number(text)
    patterns = {"int": _WHOLE, "size": _SIZE}
    return kind == "str" or (kind in patterns and bool(patterns[kind].fullmatch(text)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
