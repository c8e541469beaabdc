"""Imports point one way, as DESIGN.md draws it, and heavy packages wait until they are used.

cli → workflow → run → ship → bundle · images · hub · dataset → importing → sbom · signature · jobs · sizing
· project · host → rules → errors
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("layers")  # one worker parses all modules once

PACKAGE = Path(__file__).resolve().parents[1] / "kit"
GROUND = {"byte_stream", "data_files", "errors", "own_yaml", "progress", "written_yaml"}
"""Modules that every part may use; they use nothing of kit but each other."""

ALLOWED: dict[str, set[str]] = {
    "byte_stream": set(),
    "errors": set(),
    "progress": set(),
    "data_files": set(),
    "own_yaml": set(),
    "written_yaml": set(),
    "project": set(),
    "rules": set(),
    "host": {"project", "rules"},
    "sizing": {"project"},
    "jobs": {"project", "host", "sizing", "rules"},
    "importing": {"jobs", "project"},
    "sbom": set(),
    "signature": set(),
    "bundle": {"sbom", "signature"},
    "hub": {"bundle", "project"},
    "dataset": {"project"},
    "images": {"project", "rules"},
    "ship": {"bundle", "host", "project", "signature"},
    "run": {"ship", "bundle", "jobs", "host", "project"},
    "workflow": {
        "run",
        "dataset",
        "ship",
        "bundle",
        "sbom",
        "signature",
        "images",
        "hub",
        "importing",
        "jobs",
        "host",
        "project",
    },
    "cli": {
        "workflow",
        "run",
        "ship",
        "bundle",
        "sbom",
        "signature",
        "images",
        "hub",
        "dataset",
        "jobs",
        "host",
        "project",
    },
    "__main__": {"cli"},
}
"""Part → parts it may import, beside itself and the ground."""

HEAVY = (
    "docker",
    "fabric",
    "paramiko",
    "pydantic",
    "yaml",
    "jinja2",
    "zstandard",
    "rich",
    "cryptography",
    "msgspec",
    "pyeclib",
    "uv",
)
"""Packages that no start of the command line may load."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> set[str]:
    """Return the parts of kit that a module names, imports for type checkers included."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [node.module or ""]
            if node.module == "kit":
                names = [f"kit.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("kit.")}
    return found


PARTS = sorted({part_of(path) for path in MODULES})


@pytest.mark.parametrize("part", PARTS)
def test_a_module_imports_only_what_lies_below_its_part(part: str) -> None:
    # `from kit import __version__` names no part.
    may = GROUND | {part, "__version__"} | ALLOWED[part] if part != "__init__" else set()
    above = {path: sorted(imports_of(path) - may) for path in MODULES if part_of(path) == part}
    assert not {path: names for path, names in above.items() if names}


def test_every_part_has_its_place() -> None:
    assert set(PARTS) - {"__init__"} <= set(ALLOWED)


def test_the_drawing_has_no_circle() -> None:
    done: set[str] = set()
    left = dict(ALLOWED)
    while left:
        free = [part for part, below in left.items() if below <= done]
        assert free, f"these parts import each other: {sorted(left)}"
        done |= set(free)
        for part in free:
            del left[part]


DOORS = {
    "workflow/open_trusted.py": "what a user names is held against this machine's policies here",
    "workflow/compare_places.py": "with the same policies, but for age: comparing an old one is its purpose",
    "workflow/load_bundle.py": "on a host, held against the host's own policy too, as a shipment is",
    "workflow/make_bundle.py": "what was packed just now",
    "workflow/prune_project.py": "what its lock names is kept; nothing else is done with the bundle",
    "workflow/sign_bundle.py": "a wrong signature is what it replaces; nothing else is done with the bundle",
}
"""Modules above `kit.bundle` that may open a bundle themselves, each with its reason."""


def opens_bundles(path: Path) -> bool:
    nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
    return any(alias.name in {"open_bundle", "open_unjudged"} for node in nodes for alias in node.names)


def test_bundles_come_in_through_few_doors() -> None:
    above = [path for path in MODULES if part_of(path) != "bundle"]
    assert {str(path.relative_to(PACKAGE)) for path in above if opens_bundles(path)} <= set(DOORS)


def test_only_the_command_line_writes_to_the_terminal() -> None:
    for path in MODULES:
        if part_of(path) == "cli":
            continue
        calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
        assert not [call for call in calls if getattr(call.func, "id", "") == "print"], path


AGENT = ("kit.cli.agent", "kit.run.agent_verbs", "kit.ship.agent.verbs", "kit.ship.engine.docker_store")
"""What an agent needs on a host where nothing is to be changed."""


def loaded_with(module: str) -> set[str]:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", ["kit.cli.main", *AGENT])
def test_starting_loads_no_heavy_package(module: str) -> None:
    assert not loaded_with(module) & set(HEAVY)


@pytest.mark.parametrize("module", AGENT)
def test_an_agent_starts_without_the_command_line(module: str) -> None:
    assert "typer" not in loaded_with(module)
