"""Reading a file record by record, in its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.dataset.check import read_form
from kit.dataset.check_part import Checker
from kit.dataset.findings import Fault
from kit.dataset.layout import look_at
from kit.dataset.records import read_records
from kit.dataset.schema import Schema, kind_of
from kit.dataset.turns import read_talk
from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.dataset.check import Wanted
    from kit.dataset.form import Form
    from kit.dataset.layout import Layout
    from kit.dataset.turns import Talk
    from kit.progress import Progress


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a file."""

    line: int
    number: int
    """From 1."""
    raw: bytes
    talk: Talk | None
    """None where it has a fault."""
    fault: Fault | None


class Reader:
    """A file, its form, and its records as often as they are wanted."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        """Look at the file. Raises ConfigError when it cannot be read, or no form fits it."""
        self.layout: Layout = look_at(path)
        form, found = read_form(self.layout, wanted)
        self.form: Form = form
        self._kinds = {name: kind_of(value) for name, value in found.items()}

    @property
    def path(self) -> Path:
        """The file."""
        return self.layout.path

    def place(self, line: int, number: int) -> str:
        """Return where a record stands, for people."""
        return f"{self.path}:{line}" + (f", record {number}" if self.layout.is_array else "")

    def entries(self, progress: Progress, task: str) -> Iterator[Entry]:
        """Yield every record, good or not. Raises ConfigError where a JSON array breaks."""
        checker = Checker(Schema(self.form, self._kinds), 0, learns=self.layout.is_array)
        progress.start(task, self.layout.size)
        for number, (line, raw) in enumerate(read_records(self.layout), 1):
            record, fault = checker.read(raw)
            talk = None if fault else read_talk(self.form, record)
            yield Entry(line, number, raw, talk, Fault(line, number, *fault) if fault else None)
            progress.advance(task, len(raw) + 1)
        progress.finish(task)

    def good_entries(self, progress: Progress, task: str) -> Iterator[tuple[Entry, Talk]]:
        """Yield every record with what it says. Raises ConfigError at the first that is not right."""
        for entry in self.entries(progress, task):
            if entry.talk is None:
                why = entry.fault.text if entry.fault else ""
                raise ConfigError(
                    "this record is not right",
                    where=self.place(entry.line, entry.number),
                    why=why,
                    fix=f"kit dataset check {self.path} names all of them",
                )
            yield entry, entry.talk


def columns_of(raw: bytes) -> dict[str, Any]:
    """Return a record's columns, each value as the bytes it is written in (msgspec.Raw)."""
    import msgspec

    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
