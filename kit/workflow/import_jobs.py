"""`kit import`: from argument files and command lines to jobs that kit would launch."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.importing.assemble import Wishes, assemble
from kit.importing.insert import insert, merged
from kit.importing.recognise import drafts_of_command, drafts_of_text
from kit.importing.written import project_text, section_text
from kit.workflow.check_imported import settle
from kit.workflow.start_project import STACKS
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from kit.importing.assemble import Imported
    from kit.importing.change import Change
    from kit.importing.draft import Draft

_MOST = 16_000_000
"""Bytes of a file that is read for an import; argument files and scripts are far smaller."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is imported, and where it goes."""

    files: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()
    """A command line, when no file is given."""
    text: str | None = None
    """What came on standard input."""
    into: Path | None = None
    stack: str = "cu126"
    name: str | None = None
    hosts: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class JobChange:
    """One line of the table."""

    job: str
    action: str
    given: str
    becomes: str
    because: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import made."""

    jobs: tuple[str, ...]
    yaml: str
    """A whole kit.yaml; with `into`, the sections that were added to that file."""
    document: dict[str, Any]
    """The same, read."""
    changes: tuple[JobChange, ...]
    wrote: str = ""
    """The file that the jobs were added to; empty when nothing was written."""
    dry_run: bool = False


def import_jobs(request: ImportRequest) -> ImportResult:
    """Return the jobs that files or a command line stand for, and write them into `into` when it is named.

    Every job has been loaded and planned as `kit plan` does it. Raises ConfigError.
    """
    if request.stack not in STACKS:
        raise ConfigError(
            f"no stack named {request.stack!r}", where="--stack", fix=f"one of: {', '.join(STACKS)}"
        )
    text, base = _base(request.into)
    stack = str(base.get("stack")) if base else request.stack
    _check_hosts(request, base)
    wishes = Wishes(stack, request.name, request.hosts, base or None)
    found = assemble(_drafts(request), wishes)
    settle(found, base or {"version": 1, "stack": stack}, where=str(request.into or "the import"))
    sections = found.sections()
    result = ImportResult(
        jobs=tuple(found.jobs),
        yaml=_text(found, stack, text),
        document=sections if base else merged({"version": 1, "stack": stack}, sections),
        changes=_table(found),
        dry_run=request.dry_run,
    )
    if request.into is None or text is None:
        return result
    return _write(request, result, text, sections)


def _check_hosts(request: ImportRequest, base: dict[str, Any]) -> None:
    known = base.get("hosts")
    if isinstance(known, dict) and known:
        missing = [host for host in request.hosts if host not in known]
        if missing:
            raise ConfigError(
                f"no host named {missing[0]!r}", where=str(request.into), fix=f"known: {', '.join(known)}"
            )


def _base(into: Path | None) -> tuple[str | None, dict[str, Any]]:
    if into is None:
        return None, {}
    from kit.project.load import load_project

    load_project(into)
    text = into.read_bytes().decode("utf-8")
    document = parse_yaml(text, str(into))
    return text, dict(document)


def _drafts(request: ImportRequest) -> tuple[Draft, ...]:
    if request.words:
        return drafts_of_command(request.words, "the command line", _reader(Path()))
    if request.text is not None:
        return drafts_of_text(request.text, "standard input", _reader(Path()))
    found: list[Draft] = []
    for file in request.files:
        text = _read(file)
        if text is None:
            raise ConfigError("cannot be read", where=str(file), fix="a text file in UTF-8 is needed")
        found += drafts_of_text(text, str(file), _reader(file.parent))
    return tuple(found)


def _read(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > _MOST:
            return None
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return None


class _reader:  # noqa: N801 - a function with a place
    """Reads what a command names: from where kit was started, or beside the file that names it."""

    def __init__(self, beside: Path) -> None:
        self.beside = beside

    def __call__(self, path: str) -> str | None:
        """Return a file's text; None when it cannot be read."""
        for folder in dict.fromkeys((Path(), self.beside, *list(self.beside.resolve().parents)[:3])):
            text = _read(folder / Path(path))
            if text is not None:
                return text
        return None


def _table(found: Imported) -> tuple[JobChange, ...]:
    return tuple(
        JobChange(job, line.action, line.given, line.becomes, line.because) for job, line in found.table()
    )


def _remarks(changes: tuple[Change, ...]) -> tuple[str, ...]:
    wanted = (f"{line.becomes} - {line.because}" for line in changes if line.action == "fill in")
    return tuple(dict.fromkeys(wanted))


def _text(found: Imported, stack: str, base: str | None) -> str:
    sections = found.sections()
    if base is not None:
        return "\n".join(section_text(name, section) for name, section in sections.items())
    return project_text(stack, sections, _remarks(tuple(line for _, line in found.table())))


def _write(request: ImportRequest, result: ImportResult, text: str, sections: dict[str, Any]) -> ImportResult:
    into = request.into or Path()
    added = insert(text, sections)
    if added is None:
        raise ConfigError(
            "the jobs cannot be added without touching what stands there",
            where=str(into),
            why="a section of it is empty, an alias, or written in a form that kit does not add to",
            fix=f"add them by hand:\n{result.yaml}",
        )
    if request.dry_run:
        return result
    _replace(into.resolve(), added)
    return ImportResult(result.jobs, result.yaml, result.document, result.changes, wrote=str(into))


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the mode that it has. Raises ConfigError."""
    try:
        handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
            Path(fresh).chmod(path.stat().st_mode & 0o7777)
            Path(fresh).replace(path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError("cannot be written", where=str(path), why=error.strerror or "") from error
