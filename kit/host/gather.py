"""Asking a host for its facts: one POSIX shell script, one round trip."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import UnreachableError
from kit.host.answers import marked_lines
from kit.host.facts_script import END, JOBS, MACHINE, PRELUDE
from kit.host.parse_facts import parse_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.host.facts import HostFacts
    from kit.host.port import Host
    from kit.project.model import HostSpec

SCRIPT = PRELUDE + MACHINE + JOBS + END
PATIENCE = 300.0
"""Seconds for a whole answer; each question to the engine has 30 s of them."""
_LAST = b"end 1"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a script answered, to its end."""

    lines: tuple[bytes, ...]
    """Those that count, without their mark."""
    at: float
    """This machine's time when the host's clock, its last word, was heard."""


def ask(host: Host, script: str, root: str, now: Callable[[], float] = time.time) -> Heard:
    """Return what a script of `facts_script`'s parts, given `root`, answers.

    Raises UnreachableError when it does not run to its end, TransferError for an answer beyond all bounds.
    """
    done = host.run(("sh", "-s", root), stdin=script.encode(), timeout=PATIENCE)
    at = now()
    lines = tuple(marked_lines(host.name, done.stdout))
    if _LAST not in lines:
        raise UnreachableError(
            "its shell does not run kit's questions to the end",
            where=host.name,
            why=done.stderr.decode("utf-8", "replace").strip()[-400:] or f"status {done.status}",
            fix=f"a POSIX shell is needed there: ssh {host.name} sh -c 'echo fine'",
        )
    return Heard(lines, at)


def gather_facts(host: Host, spec: HostSpec, now: Callable[[], float] = time.time) -> HostFacts:
    """Return what is true of a host. Raises UnreachableError when it does not answer as a host would."""
    heard = ask(host, SCRIPT, spec.root, now)
    return parse_facts(host.name, spec.root, heard.lines, heard.at)
