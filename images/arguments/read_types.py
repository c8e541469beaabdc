"""What a type annotation allows, read from its syntax tree. For developers."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from images.arguments.read_wheel import Found, Module, Wheel

PLAIN = {
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "str",
    "Path": "str",
    "dict": "mapping",
    "Dict": "mapping",
    "list": "list",
    "List": "list",
    "tuple": "list",
    "Tuple": "list",
    "set": "list",
    "frozenset": "list",
    "Any": "any",
    "None": "null",
}
_ENUMS = {"Enum", "StrEnum", "IntEnum", "ExplicitEnum"}


@dataclass(frozen=True)
class Declared:
    """One member of a union."""

    kind: str
    """bool, int, float, str, mapping, list, any, null; dataclass, enum or object for classes."""
    choices: tuple[Any, ...] | None = None
    """What Literal or an enum lists."""
    element: tuple[Declared, ...] = ()
    """Of a list."""


def is_class_variable(node: ast.expr) -> bool:
    """Tell whether an annotation says that this is no field."""
    return isinstance(node, ast.Subscript) and _name(node.value) in ("ClassVar", "InitVar")


def declared(wheel: Wheel, module: Module, node: ast.AST) -> tuple[Declared, ...]:
    """Return what an annotation allows, its unions taken apart."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return declared(wheel, module, ast.parse(node.value, mode="eval").body)
        return (Declared("null"),)
    if isinstance(node, ast.BinOp):
        return declared(wheel, module, node.left) + declared(wheel, module, node.right)
    if isinstance(node, ast.Subscript):
        return _subscript(wheel, module, node)
    name = _name(node)
    found = wheel.named(module, name) if isinstance(node, ast.Name) else None
    if found is not None:
        return _found(wheel, found)
    return (Declared(PLAIN.get(name, "object")),)


def _found(wheel: Wheel, found: Found) -> tuple[Declared, ...]:
    if not isinstance(found.node, ast.ClassDef):
        is_type = isinstance(found.node, ast.Subscript | ast.BinOp | ast.Name)
        return declared(wheel, found.module, found.node) if is_type else (Declared("object"),)
    lines = wheel.bases(found)
    names = {_name(base) for line in lines for base in line.node.bases}
    if names & _ENUMS:
        return (Declared("enum", enum_values(found)),)
    if "TypedDict" in names or names & {"dict", "Dict"}:
        return (Declared("mapping"),)
    words = [item.func if isinstance(item, ast.Call) else item for item in found.node.decorator_list]
    decorators = {_name(word) for word in words}
    return (Declared("dataclass" if decorators & {"dataclass", "config"} else "object"),)


def enum_values(found: Found) -> tuple[Any, ...]:
    """Return the values of an enum, in its order."""
    assert isinstance(found.node, ast.ClassDef)
    lines = [line.value for line in found.node.body if isinstance(line, ast.Assign)]
    return tuple(line.value for line in lines if isinstance(line, ast.Constant))


def _subscript(wheel: Wheel, module: Module, node: ast.Subscript) -> tuple[Declared, ...]:
    name, inside = _name(node.value), _elements(node.slice)
    if name == "Annotated":
        return declared(wheel, module, inside[0])
    if name == "Optional":
        return (*declared(wheel, module, inside[0]), Declared("null"))
    if name == "Union":
        return tuple(part for item in inside for part in declared(wheel, module, item))
    if name == "Literal":
        return _literal(wheel, module, inside)
    if PLAIN.get(name) == "list":
        return (Declared("list", element=declared(wheel, module, inside[0])),)
    return (Declared(PLAIN.get(name, "object")),)


def _literal(wheel: Wheel, module: Module, inside: list[ast.expr]) -> tuple[Declared, ...]:
    values: list[Any] = []
    for item in inside:
        if isinstance(item, ast.Constant):
            values.append(item.value)
        else:  # a literal of literals
            parts = declared(wheel, module, item)
            values += [value for part in parts for value in (part.choices or (None,))]
    kinds = {type(value).__name__ for value in values if value is not None}
    null = (Declared("null"),) if None in values else ()
    kept = tuple(value for value in values if value is not None)
    return (Declared(kinds.pop() if len(kinds) == 1 else "any", kept), *null)


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else ""
