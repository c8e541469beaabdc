"""Fields as dpkg, apk, Debian's copyright files and Python's METADATA write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Fields = dict[str, list[str]]
"""Every value of a field, by its name in lower case; the lines of a value are joined by newlines."""


def paragraphs(text: str) -> Iterator[Fields]:
    """Yield the paragraphs of a text; an empty line ends one, an indented line continues a field."""
    fields: Fields = {}
    last: list[str] = []
    for line in text.split("\n"):
        bare = line.rstrip("\r")
        if not bare:
            if fields:
                yield fields
            fields, last = {}, []
        elif bare[0] in " \t":
            if last:
                last[-1] += "\n" + bare.strip()
        else:
            name, mark, value = bare.partition(":")
            if mark:
                last = fields.setdefault(name.strip().lower(), [])
                last.append(value.strip())
    if fields:
        yield fields


def first(fields: Fields, name: str) -> str:
    """Return the first value of a field, empty when there is none."""
    return fields.get(name, [""])[0]
