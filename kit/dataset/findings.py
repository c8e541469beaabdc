"""What was found in a file: each fault with its place, some of them kept and all of them counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

KEPT = 20
"""Faults of a file that are shown unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One record that is not right, or that LLaMA-Factory would not take."""

    line: int
    """Of the file, from 1, where the record begins."""
    record: int
    """From 1, blank lines not counted."""
    code: str
    """`json`, `utf-8`, `type`, `column` or `record`: the same in every release."""
    text: str


@dataclass(slots=True)
class Findings:
    """Counts over a part of a file; lines and records count from the part's own beginning."""

    limit: int = KEPT
    lines: int = 0
    records: int = 0
    faulty: int = 0
    """Records with a fault."""
    codes: Counter[str] = field(default_factory=Counter)
    """Code → records."""
    faults: list[Fault] = field(default_factory=list)
    """The first `limit` of them."""

    def add(self, fault: Fault) -> None:
        """Count a fault, and keep it if it is one of the first."""
        self.faulty += 1
        self.codes[fault.code] += 1
        if len(self.faults) < self.limit:
            self.faults.append(fault)

    def join(self, after: Findings) -> None:
        """Take in what was found in the part that comes next."""
        room = self.limit - len(self.faults)
        self.faults += [
            Fault(one.line + self.lines, one.record + self.records, one.code, one.text)
            for one in after.faults[:room]
        ]
        self.lines += after.lines
        self.records += after.records
        self.faulty += after.faulty
        self.codes += after.codes
