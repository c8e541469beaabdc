"""LLaMA-Factory's arguments out of a YAML or JSON file, `key=value` and `--key value`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kit.importing.options import read_options, typed
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from kit.importing.draft import Invocation

_OVERRIDE = re.compile(r"\+?([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ENDINGS = (".yaml", ".yml", ".json")


def file_arguments(text: str, where: str, invocation: Invocation) -> dict[str, Any]:
    """Return what an argument file says. Raises ConfigError when it is no mapping."""
    document = parse_yaml(text, where)
    if not isinstance(document, dict):
        raise invocation.refusal(f"{where} is no list of arguments", "it is no mapping", f"correct {where}")
    return {str(key): value for key, value in document.items()}


def word_arguments(invocation: Invocation, words: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of a command line: those of its file, with what follows over them.

    Raises ConfigError for a file that cannot be read, and for words that are no arguments.
    """
    args: dict[str, Any] = {}
    left = list(words)
    if left and left[0].endswith(_ENDINGS) and not left[0].startswith("-"):
        path = left.pop(0)
        text = invocation.text_of(path)
        if text is None:
            raise invocation.refusal(
                f"{path} cannot be read",
                "the command takes its arguments from it",
                "run kit import where it is",
            )
        args = file_arguments(text, path, invocation)
    while left and (found := _OVERRIDE.fullmatch(left[0])):
        left.pop(0)
        args[found[1]] = typed_argument(found[2])
    line = read_options(left, lists=[word.lstrip("-").replace("-", "_") for word in left])
    if line.rest:
        raise invocation.refusal(f"{line.rest[0]!r} is no argument", "--name value is one", "correct it")
    for option in line.options:
        values = [typed_argument(value) for value in option.values]
        args[option.name] = values[0] if len(values) == 1 else values or True
    return args


def typed_argument(text: str) -> Any:
    """Return a value of the command line as LLaMA-Factory's YAML has it; `null` and `None` are none."""
    return None if text in ("null", "None", "") else typed(text)
