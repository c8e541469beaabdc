"""How long kit puts up with a hub: attempts, pauses between them, and what is too slow."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from kit.hub.port import Passing

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.errors import KitError

T = TypeVar("T")
ENOUGH = 1 << 20
"""Bytes that must have come for an attempt not to count as a failed one."""


def _no_progress() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of trying again. Times are in seconds."""

    attempts: int = 6
    """In a row, without progress in between."""
    first_pause: float = 1.0
    """Doubles with every attempt."""
    longest_pause: float = 30.0
    longest_wait: float = 300.0
    """Longest wait that a server may ask for; one that asks for more counts as not answering."""
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, asked: float | None) -> float:
        """Return how long to wait after `failures` in a row; `asked` is what the server wants."""
        if asked is not None:
            return asked
        # Spread, so that parallel downloads do not come back all at once.
        spread = random.uniform(0.75, 1.25)  # noqa: S311 - nothing secret
        return min(self.first_pause * 2.0 ** (failures - 1), self.longest_pause) * spread


def persist(
    action: Callable[[], T],
    patience: Patience,
    tell: Callable[[str], None],
    progress: Callable[[], int] = _no_progress,
) -> T:
    """Return what `action` returns, trying again while its failures may pass.

    `progress` tells how many bytes are here; an attempt that brought ENOUGH of them is no failed
    one. Raises the failure's own error, with the number of attempts, when patience ends.
    """
    failures, before = 0, progress()
    while isinstance(outcome := _attempt(action), Passing):
        here = progress()
        failures = 1 if here - before >= ENOUGH else failures + 1
        before = here
        asked_too_much = outcome.wait is not None and outcome.wait > patience.longest_wait
        if failures >= patience.attempts or asked_too_much:
            raise _given_up(outcome, failures) from outcome
        pause = patience.pause(failures, outcome.wait)
        tell(f"{outcome.error.where}: {outcome.error.what}; again in {pause:.0f} s")
        patience.sleep(pause)
    return outcome


def _attempt(action: Callable[[], T]) -> T | Passing:
    try:
        return action()
    except Passing as failure:
        return failure


def _given_up(failure: Passing, failures: int) -> KitError:
    error = failure.error
    why = f"tried {failures} times"
    if failure.wait is not None:
        why = f"it asks to wait {failure.wait:.0f} s"
    why = f"{error.why}; {why}" if error.why else why
    return type(error)(error.what, where=error.where, why=why, fix=error.fix)
