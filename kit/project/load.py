"""Reading kit.yaml: parsed once, at the border, into frozen types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from pydantic import ValidationError

    from kit.project.model import Project


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """kit.yaml and where it stands."""

    project: Project
    folder: Path
    """The folder that relative paths in kit.yaml start from."""

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.project.name or self.folder.name

    def path(self, relative: str) -> Path:
        """Return a path named in kit.yaml, made absolute."""
        return self.folder / Path(relative).expanduser()


def _key(location: tuple[int | str, ...]) -> str:
    # pydantic puts the kind of a job or image into the path; the user never wrote it there.
    parts = [part for i, part in enumerate(location) if not (i == 2 and location[0] in ("jobs", "images"))]  # noqa: PLR2004
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "kit.yaml"


def _message(error: ValidationError) -> tuple[str, str]:
    lines = []
    for problem in error.errors():
        key = _key(problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            text = "unknown key"
        given = problem.get("input")
        shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
        lines.append((key, f"{text}{shown}"))
    return lines[0][0], "; ".join(f"{key}: {text}" for key, text in lines)


def parse_project(document: Any, where: str = "kit.yaml") -> Project:
    """Return the project that a parsed YAML document describes.

    Raises ConfigError naming each offending key.
    """
    from pydantic import ValidationError

    from kit.project.model import Project
    from kit.project.references import complaints

    if not isinstance(document, dict):
        raise ConfigError("a mapping is needed at the top", where=where, fix="kit init shows a complete file")
    try:
        project = Project.model_validate(document)
    except ValidationError as error:
        _, text = _message(error)
        raise ConfigError(
            text, where=where, fix=f"correct {where}; docs/reference/kit.yaml.md lists the keys"
        ) from error
    problems = [f"{key}: {text}" for key, text in complaints(project)]
    if problems:
        raise ConfigError("; ".join(problems), where=where, fix=f"correct {where}")
    return project


def load_project(path: Path) -> LoadedProject:
    """Read and check kit.yaml. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), fix="kit init, or name one with -f") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", where=str(path), why=str(error)) from error
    document = parse_yaml(text, str(path))
    return LoadedProject(parse_project(document, str(path)), path.resolve().parent)
