"""The columns of a file, from its first records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.dataset.records import BrokenArrayError, read_array, read_records
from kit.dataset.schema import LEARNT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.dataset.layout import Layout


def first_values(layout: Layout) -> dict[str, Any]:
    """Return each column of the first 10 MiB with its first value that is not null.

    Broken records are passed over.
    """
    import msgspec

    found: dict[str, Any] = {}
    size = 0
    for raw in _raw(layout):
        size += len(raw) + 1
        try:
            record = msgspec.json.decode(raw)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            found.update({name: value for name, value in record.items() if found.get(name) is None})
        # The library reads so many bytes, and then to the end of the line.
        if size >= LEARNT_BYTES:
            break
    return found


def _raw(layout: Layout) -> Iterator[bytes]:
    try:
        for _, raw in read_array(layout) if layout.is_array else read_records(layout):
            yield raw
    except BrokenArrayError:
        return
