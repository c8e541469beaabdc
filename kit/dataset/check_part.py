"""Checking one part of a file: fast while everything is right, record by record where something is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.dataset.complaint import JSON, RECORD, UTF8, json_complaint, type_complaint
from kit.dataset.findings import Fault, Findings
from kit.dataset.judge import judge_for
from kit.dataset.records import line_chunks, lines_of
from kit.dataset.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kit.dataset.form import Form

_LATER = "is new after the first 10 MiB: the datasets library takes the columns of a file from those"


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of a file, and what its records must be; travels to another process."""

    path: Path
    begin: int
    end: int
    form: Form
    kinds: dict[str, str]
    limit: int


def check_part(part: Part) -> Findings:
    """Return what is found in a part of a file of lines."""
    checker = Checker(Schema(part.form, part.kinds), part.limit)
    for chunk in line_chunks(part.path, part.begin, part.end):
        checker.take_lines(lines_of(chunk))
    return checker.findings


class Checker:
    """Judges records, and keeps what it finds."""

    def __init__(self, schema: Schema, limit: int, *, learns: bool = False) -> None:
        self.findings = Findings(limit)
        self._schema = schema
        self._judge = judge_for(schema.form)
        self._learns = learns
        """Whether a new column is welcome at any place, as in an array."""

    def take_lines(self, lines: list[bytes]) -> None:
        """Judge the next lines of the file."""
        try:
            # One broken or blank line ends this, and each is looked at alone.
            faults = list(self._quick(map(self._schema.decoder.decode, lines)))
        except (ValueError, RecursionError):
            for line in lines:
                self.findings.lines += 1
                if line.strip():
                    self._take(self.findings.lines, line)
            return
        for index, text in faults:
            self.findings.add(
                Fault(self.findings.lines + index + 1, self.findings.records + index + 1, RECORD, text)
            )
        self.findings.lines += len(lines)
        self.findings.records += len(lines)

    def _quick(self, records: Iterable[Any]) -> Iterator[tuple[int, str]]:
        judge = self._judge
        for index, record in enumerate(records):
            if wrong := judge(record):
                yield index, wrong

    def take_record(self, line: int, raw: bytes) -> None:
        """Judge the next record of an array, which begins on that line."""
        self.findings.lines = line
        self._take(line, raw)

    def _take(self, line: int, raw: bytes) -> None:
        self.findings.records += 1
        if found := self.read(raw)[1]:
            self.findings.add(Fault(line, self.findings.records, *found))

    def read(self, raw: bytes) -> tuple[Any, tuple[str, str] | None]:
        """Return a record of `Schema.decoder`, and what is wrong with it: a fault's code and text."""
        import msgspec

        record = None
        try:
            record = self._decode(raw)
            wrong = self._judge(record)
        except msgspec.ValidationError as error:
            return None, type_complaint(str(error), _LATER)
        except msgspec.DecodeError as error:
            return None, (JSON, f"not JSON: {json_complaint(str(error), raw)}")
        except UnicodeDecodeError:
            return None, (UTF8, _not_utf8(raw))
        except RecursionError:
            return None, (JSON, "nested too deep")
        return record, (RECORD, wrong) if wrong else None

    def _decode(self, raw: bytes) -> Any:
        import msgspec

        try:
            return self._schema.decoder.decode(raw)
        except msgspec.ValidationError:
            record = msgspec.json.decode(raw) if self._learns else None
            if not (isinstance(record, dict) and self._schema.learn(record)):
                raise
            return self._schema.decoder.decode(raw)


def _not_utf8(raw: bytes) -> str:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte 0x{raw[error.start]:02x} in column {error.start + 1} is not UTF-8"
    return "it is not UTF-8"
