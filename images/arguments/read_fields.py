"""The fields of dataclasses: what LLaMA-Factory's and transformers' arguments are. For developers."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from images.arguments.read_types import PLAIN, Declared, declared, is_class_variable

if TYPE_CHECKING:
    from images.arguments.read_wheel import Found, Module, Wheel

Row = dict[str, Any]
"""`type`: what may stand there; `choices` and `default` where there are any."""
_ORDER = ("bool", "int", "float", "str", "list", "mapping", "any", "null")


def field_rows(wheel: Wheel, place: str) -> dict[str, Row]:
    """Return the fields of a dataclass `module:Class` and of those it derives from. Raises LookupError."""
    rows: dict[str, Row] = {}
    for line in wheel.bases(wheel.class_of(place)):
        for name, field in fields_of(line).items():
            rows[name] = _row(declared(wheel, line.module, field.annotation), default_of(field.value))
        for name, kind in _also_taken(line):
            if name in rows:
                rows[name]["type"] = _ordered({*rows[name]["type"], kind})
    return rows


def fields_of(found: Found) -> dict[str, ast.AnnAssign]:
    """Return a class's own fields that its caller may give."""
    assert isinstance(found.node, ast.ClassDef)
    return {
        line.target.id: line
        for line in found.node.body
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and not is_class_variable(line.annotation)
        and not _is_kept_back(line.value)
    }


def _is_kept_back(value: ast.expr | None) -> bool:
    words = value.keywords if isinstance(value, ast.Call) else []
    return any(w.arg == "init" and isinstance(w.value, ast.Constant) and not w.value.value for w in words)


def default_of(value: ast.AST | None) -> tuple[Any, ...]:
    """Return the default in a field's declaration as a tuple of one; empty when it is no plain value."""
    if isinstance(value, ast.Call):
        given = {word.arg: word.value for word in value.keywords}
        return default_of(given.get("default", value.args[0] if value.args else None))
    try:
        plain = ast.literal_eval(value) if isinstance(value, ast.expr) else ...
    except ValueError:
        return ()
    return () if plain is ... or isinstance(plain, tuple | set | bytes) else (plain,)


def _row(parts: tuple[Declared, ...], default: tuple[Any, ...]) -> Row:
    """Return a field's row. A choice counts where nothing but it, null, and an enum's own text may stand."""
    kinds = {part.kind for part in parts}
    listed = [part for part in parts if part.choices]
    others = kinds - {"null"} - {part.kind for part in listed}
    plain = {_plain(part) for part in parts}
    row: Row = {"type": _ordered(plain)}
    free = any(part.kind == "str" and not part.choices for part in parts)
    by_enum = {part.kind for part in listed} == {"enum"}
    if len(listed) == 1 and ((not others and not free) or (by_enum and others <= {"str"})):
        row["choices"] = list(listed[0].choices or ())
    if default:
        row["default"] = default[0]
    return row


def _plain(part: Declared) -> str:
    if part.kind == "enum":
        return "str"
    return "mapping" if part.kind == "dataclass" else "any" if part.kind == "object" else part.kind


def _ordered(kinds: set[str]) -> list[str]:
    return sorted(kinds, key=_ORDER.index)


def _also_taken(found: Found) -> set[tuple[str, str]]:
    """Return (field, kind) of what a class takes beyond its annotations, as its own checks show.

    `split_arg(self.field)` takes a list as well as text with commas, `isinstance(self.field, bool)` a bool.
    """
    taken = set()
    for call in (node for node in ast.walk(found.node) if isinstance(node, ast.Call)):
        name = call.args[0].attr if call.args and isinstance(call.args[0], ast.Attribute) else ""
        function = getattr(call.func, "id", "")
        if function == "split_arg":
            taken.add((name, "list"))
        elif function == "isinstance" and getattr(call.args[1], "id", "") in PLAIN:
            taken.add((name, PLAIN[call.args[1].id]))
    return taken


def listed_classes(wheel: Wheel, place: str) -> list[str]:
    """Return the classes in a list `module:NAME`, each as `module:Class`. Raises LookupError."""
    name, _, wanted = place.partition(":")
    module = wheel.module(name)
    found = wheel.find(module, wanted) if module else None
    if found is None or not isinstance(found.node, ast.List):
        raise LookupError(f"no list {place}")
    return [_place(wheel, found.module, item) for item in found.node.elts]


def _place(wheel: Wheel, module: Module, item: ast.expr) -> str:
    found = wheel.named(module, item.id) if isinstance(item, ast.Name) else None
    if found is None or not isinstance(found.node, ast.ClassDef):
        raise LookupError(f"no class {ast.unparse(item)}")
    return f"{found.module.name}:{found.node.name}"
