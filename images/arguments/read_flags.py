"""The flags that `add_argument` calls make, as the engines' parsers have them. For developers.

vLLM makes most of its flags from the fields of its configuration classes (`get_kwargs`); how a field becomes
a flag is told in `images/arguments/read_config_flags.py`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from images.arguments.read_config_flags import Flag, config_flags
from images.arguments.read_fields import default_of, fields_of
from images.arguments.read_types import declared, enum_values

if TYPE_CHECKING:
    from images.arguments.read_wheel import Module, Wheel

_TYPES: dict[str, list[str]] = {
    "int": ["int"],
    "float": ["float"],
    "str": ["str"],
    "nullable_str": ["str"],
    "json.loads": ["json"],
    "human_readable_int": ["size"],
    "human_readable_int_or_auto": ["size", "auto"],
}
_ACTIONS = {"store_true": "switch", "BooleanOptionalAction": "toggle", "append": "append"}


class FlagReader:
    """Reads the functions of one wheel that fill a parser."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._made: dict[str, dict[str, Flag]] = {}
        """Variable → the flags of a configuration class, by field."""

    def read(self, module: Module, function: ast.AST) -> dict[str, Flag]:
        """Return name → flag for a function's calls of add_argument, in their order."""
        self._made = {}
        found: dict[str, Flag] = {}
        for node in _in_order(function):
            if isinstance(node, ast.Assign):
                self._assign(module, node)
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                names = [word.value for word in node.args if isinstance(word, ast.Constant)]
                longs = [name[2:] for name in names if str(name).startswith("--")]
                flag = self._flag(module, node) if longs else None
                found |= {name: flag for name in longs if flag}
        return found

    def _assign(self, module: Module, node: ast.Assign) -> None:
        """Follow `x = get_kwargs(Config)`, `x = y["field"]`, and `x["field"]["type"] = …`."""
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name):
            made = self._configuration(module, value)
            if made is not None:
                self._made[target.id] = made
            elif (flag := self._row_of(value)) is not None:
                self._made[target.id] = {"": flag}
            return
        row = self._row_of(target.value) if isinstance(target, ast.Subscript) else None
        if row is not None and _key(target) == "type":
            row["type"] = self._kinds(value)

    def _configuration(self, module: Module, value: ast.expr) -> dict[str, Flag] | None:
        inner = value.value if isinstance(value, ast.Subscript) else value
        if not (isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "get_kwargs"):
            return None
        name = getattr(inner.args[0], "id", "")
        found = self._wheel.named(module, name)
        if found is None:
            raise LookupError(f"no configuration class {name}")
        flags = config_flags(self._wheel, module, found)
        return {"": flags[_key(value)]} if isinstance(value, ast.Subscript) else flags

    def _row_of(self, node: ast.expr) -> Flag | None:
        if isinstance(node, ast.Name):
            return self._made.get(node.id, {}).get("")
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._made.get(node.value.id, {}).get(_key(node))
        return None

    def _flag(self, module: Module, call: ast.Call) -> Flag | None:
        """Return the flag of one call; None for one that only says that it is gone."""
        flag: Flag = {}
        for word in call.keywords:
            if word.arg is None:
                flag |= self._spread(word.value)
        given = {word.arg: word.value for word in call.keywords if word.arg}
        action = _dotted(given["action"]).rpartition(".")[2] if "action" in given else ""
        if action == "DeprecatedAction":
            return None
        if action in _ACTIONS:
            flag["takes"] = _ACTIONS[action]
        nargs = getattr(given.get("nargs"), "value", None)
        if nargs is not None:
            flag["takes"] = "maybe" if nargs == "?" else "many"
        if flag.setdefault("takes", "one") in ("switch", "toggle"):
            flag["type"] = ["bool"]
        if "type" in given or "type" not in flag:
            flag["type"] = self._kinds(given.get("type"))
        if "choices" in given:
            self._choose(module, flag, given["choices"])
        default = self._default(module, given.get("default"))
        if default:
            flag["default"] = default[0]
        return flag

    def _spread(self, value: ast.expr) -> Flag:
        """Return what `**kwargs["field"]` brings, also from `**{**kwargs["field"], "default": None}`."""
        if isinstance(value, ast.Dict):
            flag = self._spread(value.values[0])
            for key, item in zip(value.keys[1:], value.values[1:], strict=True):
                if isinstance(key, ast.Constant) and key.value == "default":
                    flag["default"] = ast.literal_eval(item)
            return flag
        row = self._row_of(value)
        if row is None:
            raise LookupError(f"nothing is known of {ast.unparse(value)}")
        return dict(row)

    def _choose(self, module: Module, flag: Flag, node: ast.expr) -> None:
        choices = self._values(module, node)
        flag.pop("choices", None)
        if choices is not None:
            flag["choices"] = [value for value in choices if value is not None]

    def _kinds(self, node: ast.expr | None) -> list[str]:
        if node is None:
            return ["str"]
        if isinstance(node, ast.Call) and _dotted(node.func) in ("optional_type", "parse_type"):
            return self._kinds(node.args[0])
        return list(_TYPES.get(_dotted(node), ["any"]))

    def _values(self, module: Module, node: ast.expr) -> list[Any] | None:
        """Return what an expression lists; None when only a running program could tell."""
        if isinstance(node, ast.List | ast.Tuple):
            parts = [self._values(module, item) for item in node.elts]
            return None if None in parts else [value for part in parts for value in part or ()]
        if isinstance(node, ast.Constant):
            return [node.value]
        if isinstance(node, ast.Starred):
            return self._values(module, node.value)
        name = _dotted(node.func) if isinstance(node, ast.Call) and node.args else ""
        if name == "list":
            return self._values(module, node.args[0])
        if name == "get_args":
            parts = declared(self._wheel, module, node.args[0])
            return [value for part in parts for value in part.choices or ()]
        return self._named_values(module, node)

    def _named_values(self, module: Module, node: ast.expr) -> list[Any] | None:
        """Return what a name or `[f.value for f in Enum]` lists; None when that is not written down."""
        over = node.generators[0].iter if isinstance(node, ast.ListComp) else node
        found = self._wheel.named(module, getattr(over, "id", ""))
        if found and isinstance(node, ast.ListComp) and isinstance(found.node, ast.ClassDef):
            return list(enum_values(found))
        if found and isinstance(node, ast.Name) and isinstance(found.node, ast.expr):
            return self._values(found.module, found.node)
        return None

    def _default(self, module: Module, node: ast.expr | None) -> tuple[Any, ...]:
        """Return a default as a tuple of one: a plain value, or that of `Class.field`."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = self._wheel.named(module, node.value.id)
            if found is None or not isinstance(found.node, ast.ClassDef):
                return ()
            fields = fields_of(found)
            return self._default(found.module, fields[node.attr].value) if node.attr in fields else ()
        return default_of(node) if node is not None and not isinstance(node, ast.Call) else ()


def function_of(wheel: Wheel, place: str) -> tuple[Module, ast.FunctionDef]:
    """Return a function `module:name` or method `module:Class.name`. Raises LookupError."""
    name, _, wanted = place.partition(":")
    module = wheel.module(name)
    owner, _, method = wanted.rpartition(".")
    found = wheel.named(module, owner or method) if module else None
    body = [found.node] if found and not owner else getattr(found.node, "body", []) if found else []
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == method and found:
            return found.module, node
    raise LookupError(f"no function {place}")


def frontend_flags(wheel: Wheel, place: str) -> dict[str, Flag]:
    """Return the flags of vLLM's FrontendArgs: every field one, some of them changed by hand there."""
    found = wheel.class_of(place)
    engine = wheel.module("vllm.engine.arg_utils")
    assert engine is not None
    flags = config_flags(wheel, engine, found)
    for line in wheel.bases(found):
        for node in ast.walk(line.node):
            _change(flags, node)
    return {name.replace("_", "-"): flag for name, flag in flags.items()}


def _change(flags: dict[str, Flag], node: ast.AST) -> None:
    """Follow `kwargs["field"]["type"] = …` and `del kwargs["field"]["nargs"]`."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        target = node.targets[0]
        flag = flags.get(_key(target.value))
        if flag is not None and _key(target) == "type":
            inner = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
            flag["type"] = list(_TYPES.get(_dotted(inner), ["any"]))
        elif flag is not None and _key(target) == "action" and getattr(node.value, "value", "") == "append":
            flag["takes"] = "append"
    elif isinstance(node, ast.Delete) and isinstance(node.targets[0], ast.Subscript):
        flag = flags.get(_key(node.targets[0].value))
        if flag is not None and _key(node.targets[0]) == "nargs" and flag["takes"] == "many":
            flag["takes"] = "one"


def _key(node: ast.AST) -> str:
    inner = node.slice if isinstance(node, ast.Subscript) else None
    return str(inner.value) if isinstance(inner, ast.Constant) else ""


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _in_order(function: ast.AST) -> list[ast.AST]:
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.Call)]
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))
