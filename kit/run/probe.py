"""Waiting on a host until a job's endpoint really works, or its container ends."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kit.run.endpoint import Reply, answer_one_token, complete_one_token, open_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.run.endpoint import Endpoint
    from kit.run.engine_port import Engine

SECONDS_BETWEEN_TRIES = 0.25
SECONDS_BETWEEN_EVENTS = 5.0

READY = "ready"
EXITED = "exited"
REFUSED = "refused"
TIMED_OUT = "timed out"


class Clock(Protocol):
    """Time, and passing it."""

    def monotonic(self) -> float:
        """Return seconds since any fixed moment."""

    def sleep(self, seconds: float, /) -> None:
        """Let seconds pass."""


@dataclass(frozen=True, slots=True)
class Probed:
    """How the waiting ended."""

    outcome: str
    """READY, EXITED, REFUSED or TIMED_OUT."""
    seconds: float
    detail: str = ""


TRIES: dict[str, Callable[[Endpoint], Reply]] = {
    "serve": complete_one_token,
    "api": answer_one_token,
    "data": open_page,
    "board": open_page,
    "proxy": complete_one_token,
}
"""What proves that a job of a kind works."""


GREETING = b"Welcome to the CLI application"
"""LLaMA-Factory's chat says so once its model is loaded (0.9.3 and 0.9.5, chat/chat_model.py)."""
_WAITING, _GREETED = Reply(503, "it has not greeted yet"), Reply(200, "")
_LINES = 200


def hear_greeting(engine: Engine, container: str) -> Reply:
    """Look for a chat's greeting among what its container wrote."""
    return _GREETED if GREETING in b"".join(engine.logs(container, _LINES)) else _WAITING


def wait_until_it_works(
    attempt: Callable[[], Reply],
    still_runs: Callable[[], bool],
    emit: Callable[[dict[str, Any]], None],
    *,
    timeout: float,
    clock: Clock = time,
) -> Probed:
    """Try until an attempt works, the container ends, a try is refused, or `timeout` seconds are over."""
    started = told = clock.monotonic()
    while True:
        detail = ""
        try:
            reply = attempt()
        except (OSError, http.client.HTTPException, ValueError) as error:
            detail = str(error)
        else:
            if reply.works:
                return Probed(READY, clock.monotonic() - started)
            detail = f"status {reply.status}: {reply.text}"
            if reply.refuses:
                return Probed(REFUSED, clock.monotonic() - started, detail)
        if not still_runs():
            return Probed(EXITED, clock.monotonic() - started, detail)
        now = clock.monotonic()
        if now - started >= timeout:
            return Probed(TIMED_OUT, now - started, detail)
        if now - told >= SECONDS_BETWEEN_EVENTS:
            told = now
            emit({"event": "waiting", "seconds": now - started})
        clock.sleep(SECONDS_BETWEEN_TRIES)


def container_runs(engine: Engine, container: str) -> bool:
    """Tell whether the container is there and running."""
    state = engine.state(container)
    return state is not None and state.running
