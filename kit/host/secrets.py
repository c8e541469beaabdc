"""Passwords and passphrases that somebody types: asked once, kept in memory, shown nowhere."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[str], str | None]

TRIES = 3
"""Times that one secret is asked for when it turns out wrong, as ssh does."""


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A text that no message, log or traceback shows."""

    text: str

    def __repr__(self) -> str:
        return "Secret(…)"


class Secrets:
    """What was typed, for as long as this process lives. Prompts come one after another, from any thread."""

    def __init__(self, ask: Ask | None = None) -> None:
        """`ask` shows a prompt and returns what was typed, or None where there is nobody to ask."""
        self._ask = ask
        self._lock = threading.Lock()
        self._known: dict[str, Secret | None] = {}
        self._asked: dict[str, int] = {}
        self.opened: dict[str, Any] = {}
        """Keys that were unlocked by what was typed, each by its path: unlocking takes a second or so."""
        self.typed = 0
        """How many were typed so far, for whomever."""

    def get(self, purpose: str, prompt: str, wrong: Secret | None = None) -> Secret | None:
        """Return the secret for a purpose, asking where it is not known yet or is the `wrong` one.

        None when there is nobody to ask, nothing was typed, or it was wrong too often.
        """
        with self._lock:
            if purpose in self._known and (self._known[purpose] is None or self._known[purpose] is not wrong):
                return self._known[purpose]
            if self._asked.get(purpose, 0) >= TRIES:
                return None
            self._asked[purpose] = self._asked.get(purpose, 0) + 1
            found = self._type(f"that was refused; {prompt}" if wrong else prompt)
            self._known[purpose] = found
            return found

    def question(self, prompt: str) -> Secret | None:
        """Return the answer to a question that has another answer each time, such as a one-time code."""
        with self._lock:
            return self._type(prompt)

    def _type(self, prompt: str) -> Secret | None:
        typed = self._ask(prompt) if self._ask else None
        if not typed:
            return None
        self.typed += 1
        return Secret(typed)

    @property
    def nobody(self) -> bool:
        """There is nobody to ask."""
        return self._ask is None
