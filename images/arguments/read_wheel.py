"""The Python sources in a wheel, as syntax trees: nothing of them is imported or run. For developers.

What a name stands for is followed through assignments and imports inside the wheel. Of several bindings of a
name the last one counts, as it does for `if TYPE_CHECKING: … else: …`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Module:
    """A module of the wheel."""

    name: str
    package: str
    """What its relative imports start from."""
    bound: dict[str, ast.AST] = field(default_factory=dict)
    """Top-level name → class, function, or assigned expression."""
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name → (module, name there)."""


@dataclass(frozen=True)
class Found:
    """What a name stands for, and where it is bound."""

    module: Module
    node: ast.AST


class Wheel:
    """One wheel."""

    def __init__(self, path: Path) -> None:
        self._zip = ZipFile(path)
        self._names = set(self._zip.namelist())
        self.module = cache(self._module)

    def _module(self, name: str) -> Module | None:
        """Return a module by its dotted name; None when the wheel has none of that name."""
        stem = name.replace(".", "/")
        for path, package in ((f"{stem}.py", name.rpartition(".")[0]), (f"{stem}/__init__.py", name)):
            if path in self._names:
                module = Module(name, package)
                _bind(ast.parse(self._zip.read(path)).body, module)
                return module
        return None

    def find(self, module: Module, name: str) -> Found | None:
        """Return what a name stands for in a module; None when that is outside the wheel."""
        if name in module.bound:
            return Found(module, module.bound[name])
        if name not in module.imported:
            return None
        there = self.module(module.imported[name][0])
        return self.find(there, module.imported[name][1]) if there and there is not module else None

    def class_of(self, place: str) -> Found:
        """Return a class named `module:Class`. Raises LookupError."""
        name, _, wanted = place.partition(":")
        module = self.module(name)
        found = self.find(module, wanted) if module else None
        if found is None or not isinstance(found.node, ast.ClassDef):
            raise LookupError(f"no class {place}")
        return found

    def bases(self, found: Found) -> list[Found]:
        """Return the classes of this wheel that a class derives from, the class itself last."""
        assert isinstance(found.node, ast.ClassDef)
        lines = []
        for base in reversed(found.node.bases):
            name = base.id if isinstance(base, ast.Name) else ""
            above = self.named(found.module, name)
            if above and isinstance(above.node, ast.ClassDef):
                lines += self.bases(above)
        return [*lines, found]

    def named(self, module: Module, name: str) -> Found | None:
        """Return what a name stands for, through names that merely stand for other names."""
        found = self.find(module, name)
        while found and isinstance(found.node, ast.Name) and found.node.id != name:
            name = found.node.id
            found = self.find(found.module, name)
        return found


def _bind(body: list[ast.stmt], module: Module) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            _now(module, node.name, node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            _now(module, node.targets[0].id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            _now(module, node.target.id, node.value)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module.bound.pop(alias.asname or alias.name, None)
                module.imported[alias.asname or alias.name] = (_absolute(module, node), alias.name)
        elif isinstance(node, ast.If):
            _bind(node.body, module)
            _bind(node.orelse, module)
        elif isinstance(node, ast.Try):
            _bind([*node.body, *node.orelse, *node.finalbody], module)


def _now(module: Module, name: str, node: ast.AST) -> None:
    module.imported.pop(name, None)
    module.bound[name] = node


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    above = ".".join(parts[: len(parts) - node.level + 1])
    return f"{above}.{node.module}" if node.module else above
