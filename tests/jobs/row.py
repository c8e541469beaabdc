"""A line of the table: a kind of job with its options, and the function that proves what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

RAN = "ran"
"""In the lab, on stack cpu, with the real images."""
RENDERED = "rendered"
"""For stack cu126: the launch was made, its files held against schemas and recorded parsers."""
REFUSED = "refused"
"""By kit, with exit code 2, before any host is asked."""


@dataclass(frozen=True)
class Row:
    """A kind with its options, and what becomes of it."""

    kind: str
    """A kind of job, or a command."""
    options: str
    """For people, e.g. `dpo × full, ZeRO-3, offload all, 2 hosts`."""
    way: str
    """RAN, RENDERED or REFUSED."""
    prove: Callable[[Scene], str]
    """Returns what was seen, for the table; raises AssertionError or StepFailedError when it is not so."""
    image: str = ""
    """The image of stack cu126 whose program is asked, for a row that is rendered."""

    @property
    def name(self) -> str:
        """The row's name on the command line; also fit for a job."""
        return slug(f"{self.kind} {self.options} {self.way}")


@dataclass(frozen=True)
class Outcome:
    """What became of a row."""

    kind: str
    options: str
    way: str
    said: str
    seconds: float
    when: str
    """Day, UTC."""
    proven: bool


def slug(text: str) -> str:
    """Return a text as a name of kit.yaml: small letters, digits and dashes, at most 60."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")
