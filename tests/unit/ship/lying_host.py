"""A host whose agent says what it is told to say, whatever it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kit.host.port import Argv, Completed
from tests.unit.ship.fake_host import FakeHost


@dataclass
class LyingHost(FakeHost):
    """Answers shell scripts as a good host does."""

    says: Iterable[Any] = ()
    """Lines of its agent: bytes, or documents."""

    def _agent(self, argv: Argv, chunks: Iterable[bytes], on_line: Callable[[bytes], None]) -> Completed:
        del argv
        next(iter(chunks))
        for line in self.says:
            on_line(line if isinstance(line, bytes) else json.dumps(line).encode("utf-8", "replace"))
        return Completed(0, b"", b"")
