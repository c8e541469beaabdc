"""Work on several threads whose results come in the order of what was put in, a few at a time."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_THREADS = 8
_AHEAD = 4


def worker_count() -> int:
    """Return how many threads keep this machine's processors busy with hashing and compressing."""
    return min(os.cpu_count() or 1, _MOST_THREADS)


def in_order(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    threads: int | None = None,
    ahead: int = _AHEAD,
) -> Iterator[_Result]:
    """Yield `work(item)` for each item, in order, computed by threads.

    At most `ahead` items more than there are threads are held at a time, so memory is bounded by the
    largest of them. What `work` or `items` raises is raised here, and nothing goes on after it.
    """
    count = threads or worker_count()
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= count + ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
