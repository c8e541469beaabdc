"""How vLLM turns the fields of its configuration classes into flags. For developers.

Source: `get_kwargs` in vllm/engine/arg_utils.py of 0.8.5.post1 and 0.31.0. They differ: the later one reads
dataclasses from JSON, and takes a list of values for advice where any text is allowed as well.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from images.arguments.read_fields import default_of, fields_of
from images.arguments.read_types import Declared, declared

if TYPE_CHECKING:
    from images.arguments.read_wheel import Found, Module, Wheel

Flag = dict[str, Any]
"""`takes`: one, many, append, maybe, switch or toggle; `type`; `choices`, `default` where there are any."""
_SIZES = "human_readable_int_args"


def config_flags(wheel: Wheel, engine: Module, found: Found) -> dict[str, Flag]:
    """Return field → flag for a configuration class, as `get_kwargs` of that version makes them.

    `engine` is the module that defines `get_kwargs`.
    """
    flags: dict[str, Flag] = {}
    newer = "literal_to_kwargs" in engine.bound or "literal_to_kwargs" in engine.imported
    sizes = _sizes(engine)
    for line in wheel.bases(found):
        for name, field in fields_of(line).items():
            parts = declared(wheel, line.module, field.annotation)
            flag = _flag(parts, newer=newer)
            if newer and name == "max_model_len":
                flag["type"] = ["size", "auto"]
            elif name in sizes:
                flag["type"] = ["size"]
            default = default_of(field.value)
            if default:
                flag["default"] = default[0]
            flags[name] = flag
    return flags


def _sizes(engine: Module) -> set[str]:
    """Return the fields that take `8k`, as the function itself lists them."""
    for function in engine.bound.values():
        for node in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == _SIZES:
                return set(ast.literal_eval(node.value))
    return set()


def _flag(parts: tuple[Declared, ...], *, newer: bool) -> Flag:
    kinds = {part.kind for part in parts}
    literal = next((part for part in parts if part.choices and part.kind != "enum"), None)
    several = next((part for part in parts if part.kind == "list"), None)
    if newer and "dataclass" in kinds:
        return {"takes": "one", "type": ["json"]}
    if newer and kinds == {"bool", "str", "null"}:
        return {"takes": "maybe", "type": ["str"]}
    if any(part.kind == "bool" and not part.choices for part in parts):
        return {"takes": "toggle", "type": ["bool"]}
    if literal is not None:
        return _one_of(literal, free=newer and any(p.kind == "str" and not p.choices for p in parts))
    if several is not None:
        return {**_one(several.element, newer=newer), "takes": "many"}
    return _one(parts, newer=newer)


def _one_of(literal: Declared, *, free: bool) -> Flag:
    flag: Flag = {"takes": "one", "type": [literal.kind]}
    return flag if free else {**flag, "choices": list(literal.choices or ())}


def _one(parts: tuple[Declared, ...], *, newer: bool) -> Flag:
    """Return a flag of one value; elements of several kinds are text, as in `list[int | str]`."""
    kinds = {part.kind for part in parts} - {"null"}
    literal = next((part for part in parts if part.choices and part.kind != "enum"), None)
    if literal is not None and len(kinds) == 1:
        return _one_of(literal, free=False)
    for kind in ("int", "float"):
        if kind in kinds and "str" not in kinds:
            return {"takes": "one", "type": [kind]}
    if "int" in kinds and not newer:
        return {"takes": "one", "type": ["int"]}
    if "mapping" in kinds:
        free = newer and kinds != {"mapping"}
        return {"takes": "one", "type": ["json", "str"] if free else ["json"]}
    return {"takes": "one", "type": ["str"] if kinds else ["any"]}
