"""The records of a file, one after the other, with the line on which each begins."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.dataset.layout import Layout

_CHUNK = 1 << 20
_AT_BYTE = re.compile(r" \(byte (\d+)\)$")
_SPACE = re.compile(r"[ \t\r\n]*")


class BrokenArrayError(Exception):
    """A JSON array that is none; where it breaks, the records after it cannot be told apart."""

    def __init__(self, line: int, record: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        """From 1."""
        self.record = record
        """From 1; the one that is broken, or that would come next."""
        self.why = why


def line_chunks(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a file from `begin` to `end` in pieces of about 1 MiB, cut after newlines."""
    with path.open("rb") as file:
        file.seek(begin)
        left = end - begin
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            if left and not chunk.endswith(b"\n"):
                rest = file.readline(left)
                left -= len(rest)
                chunk += rest
            yield chunk


def cuts(layout: Layout, length: int) -> tuple[int, ...]:
    """Return where a file of lines may be cut into parts of at least `length` bytes; its end comes last."""
    found = [layout.start]
    with layout.path.open("rb") as file:
        while found[-1] + length < layout.size:
            file.seek(found[-1] + length - 1)
            file.readline()
            found.append(file.tell())
    return tuple(found) if found[-1] == layout.size else (*found, layout.size)


def lines_of(chunk: bytes) -> list[bytes]:
    """Return the lines of a piece, which ends with a newline or with the file."""
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def read_records(layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Yield each record's line (from 1) and its bytes; blank lines are passed over.

    A file of lines needs constant memory, an array its own size. Raises ConfigError where an array breaks.
    """
    if not layout.is_array:
        number = 0
        for chunk in line_chunks(layout.path, layout.start, layout.size):
            for number, line in enumerate(lines_of(chunk), number + 1):  # noqa: B020 - counts on over all pieces
                if line.strip():
                    yield number, line
        return
    try:
        yield from read_array(layout)
    except BrokenArrayError as broken:
        raise ConfigError(
            "not JSON",
            where=f"{layout.path}:{broken.line}, record {broken.record}",
            why=broken.why,
            fix=f"kit dataset check {layout.path}",
        ) from broken


def read_array(layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Yield each record of an array as `read_records` does. Raises BrokenArrayError."""
    import msgspec

    data = layout.path.read_bytes()
    try:
        elements = msgspec.json.decode(memoryview(data)[layout.start :], type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise _broken(data, layout.start, str(error)) from None
    line, place = 1, layout.start
    for element in elements:
        raw = bytes(element)
        # Between two records stand a comma and white space alone.
        found = data.find(raw, place)
        line += data.count(b"\n", place, found)
        yield line, raw
        line += raw.count(b"\n")
        place = found + len(raw)


def _broken(data: bytes, start: int, why: str) -> BrokenArrayError:
    at_byte = _AT_BYTE.search(why)
    place = start + int(at_byte[1]) if at_byte else len(data)
    text = data[start:place].decode("utf-8", errors="replace")
    why = _AT_BYTE.sub("", why).removeprefix("JSON is malformed: ")
    line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return BrokenArrayError(line, _whole_records(text) + 1, f"{why}, column {column}")


def _whole_records(text: str) -> int:
    """Return how many records of an array are whole before its text breaks off."""
    decoder, count = json.JSONDecoder(), 0
    place = text.find("[") + 1
    while True:
        try:
            _, place = decoder.raw_decode(text, _after_space(text, place))
        except (ValueError, RecursionError):
            return count
        count += 1
        place = _after_space(text, place)
        if not text.startswith(",", place):
            return count
        place += 1


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
