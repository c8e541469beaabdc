"""Adding a dataset to kit.yaml: lines put in where they belong, and nothing else of the file touched."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.dataset.check import check_file
from kit.errors import ConfigError, TransferError
from kit.project.load import load_project, parse_project
from kit.project.model import NAME
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from kit.dataset.check import FileReport, Wanted
    from kit.progress import Progress

_PATTERN = re.compile(r"[\s*?\[\]{}]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


@dataclass(frozen=True, slots=True)
class Registered:
    """What stands in kit.yaml now, or would have to."""

    kit_yaml: Path
    name: str
    lines: tuple[str, ...]
    """The entry, as it stands there under `datasets:`."""
    is_written: bool
    why_not: str
    """Why kit.yaml was left as it is."""
    report: FileReport


def register(
    path: Path, kit_yaml: Path, name: str, wanted: Wanted, progress: Progress, *, dry_run: bool = False
) -> Registered:
    """Add a file to kit.yaml's datasets; return the lines alone where they cannot be put in soundly.

    Raises ConfigError when the file or kit.yaml is not right, or the name is taken.
    """
    folder, name = _free_name(path, kit_yaml, name)
    report = _checked(path, wanted, progress)
    entry = {"path": _relative(path, folder), **report.entry}
    # Not read_text: it would give every line of a file from Windows another end.
    text = kit_yaml.read_bytes().decode("utf-8")
    fresh, lines = with_entry(text, name, entry)
    if fresh is None:
        why_not = "its datasets are not written as a list of indented names"
    else:
        why_not = _unsound(text, fresh, name, entry)
    is_written = fresh is not None and not why_not and not dry_run
    if fresh is not None and is_written:
        _replace(kit_yaml, fresh)
    return Registered(kit_yaml, name, lines, is_written, why_not, report)


def _free_name(path: Path, kit_yaml: Path, name: str) -> tuple[Path, str]:
    """Return kit.yaml's folder, and a name for the file that kit.yaml does not have yet."""
    loaded = load_project(kit_yaml)
    name = name or _name_of(path)
    if not NAME.fullmatch(name):
        fix = "lower-case letters, digits, '.', '_' and '-'"
        raise ConfigError(f"{name!r} is no name", where="--name", fix=fix)
    if name in loaded.project.datasets:
        raise ConfigError(
            f"has a dataset {name!r} already", where=f"{kit_yaml}: datasets.{name}", fix="--name another"
        )
    return loaded.folder, name


def _checked(path: Path, wanted: Wanted, progress: Progress) -> FileReport:
    if _PATTERN.search(path.name):
        raise ConfigError(
            "has a space or one of * ? [ ] { } in its name",
            where=str(path),
            why="the datasets library takes file names for patterns",
            fix="rename the file",
        )
    report = check_file(path, wanted, progress)
    if not report.is_good:
        first = next(iter(report.problems), None) or f"line {report.faults[0].line}: {report.faults[0].text}"
        raise ConfigError(
            f"cannot be trained on: {report.faulty} records are not right",
            where=str(path),
            why=first,
            fix=f"kit dataset check {path}",
        )
    return report


def _name_of(path: Path) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._") or "data"


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def with_entry(text: str, name: str, entry: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return kit.yaml's text with a dataset more, and its lines; None for a text without a place for it."""
    import yaml

    body = f"{name}: {flow(entry)}"
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None, (f"  {body}",)
    end = "\r\n" if "\r\n" in text else "\n"
    # Not splitlines: YAML's lines end at fewer characters than Python's.
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
    section = next((value for key, value in root.value if key.value == "datasets"), None)
    if section is None:
        return "".join([*lines, f"{end}datasets:{end}  {body}{end}"]), (f"  {body}",)
    if not isinstance(section, yaml.MappingNode) or section.flow_style or not section.value:
        return None, (f"  {body}",)
    column, last = section.value[0][0].start_mark.column, section.value[-1][1]
    added = " " * column + body
    at = _end_of(last, section.value[-1][0].start_mark.line)
    return "".join([*lines[:at], f"{added}{end}", *lines[at:]]), (added,)


def _end_of(node: Any, begin: int) -> int:
    """Return the number of the line after a node's last one that holds anything of it."""
    import yaml

    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end_of(last[1] if isinstance(last, tuple) else last, begin)
    mark = node.end_mark
    # A block text ends at the beginning of a line, whatever stands there.
    return max(begin + 1, int(mark.line) + bool(mark.column))


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value, ensure_ascii=False)


def _unsound(old: str, new: str, name: str, entry: dict[str, Any]) -> str:
    """Return why the new text does not say the old one and the entry; empty when it does."""
    before, after = parse_yaml(old, "kit.yaml"), parse_yaml(new, "kit.yaml")
    wanted = {**before, "datasets": {**(before.get("datasets") or {}), name: entry}}
    if after != wanted:
        return "the lines would change what else it says"
    try:
        parse_project(after)
    except ConfigError as error:
        return error.what
    return ""


def _replace(path: Path, text: str) -> None:
    """Write kit.yaml anew, whole or not at all, with the mode it has."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(path.stat().st_mode & 0o777)
        fresh.replace(path.resolve())
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise TransferError("cannot be written", where=str(path), why=error.strerror or str(error)) from error
