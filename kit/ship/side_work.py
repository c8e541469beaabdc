"""One piece of work beside another, whose failure must not be lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SideWork(Generic[T]):
    """Work in a thread of its own, whose outcome is asked for later."""

    def __init__(self, work: Callable[[], T], on_failure: Callable[[BaseException], None]) -> None:
        """Begin. `on_failure` hears at once of what it raised."""
        self._work = work
        self._on_failure = on_failure
        self._results: list[T] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as failure:  # noqa: BLE001 - raised again where the outcome is asked for
            self._failure = failure
            self._on_failure(failure)

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def result(self) -> T:
        """Return what came of it. Raises what it raised."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._results[0]
