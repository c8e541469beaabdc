"""The words for a record that cannot be read as its form wants it. Pure."""

from __future__ import annotations

import re

from kit.dataset.schema import NOTHING

JSON, UTF8, TYPE, COLUMN, RECORD = "json", "utf-8", "type", "column", "record"
"""Codes of faults."""
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_LENGTH = re.compile(r"Expected `array` of length (?P<wanted>\d+)[^`]*(?:`\$\.?(?P<path>[^`]*)`)?")
_HALF = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_AT_BYTE = re.compile(r" \(byte (\d+)\)$")
_NAMES = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": NOTHING,
    "int | float": "a number",
}


def _name(of: str) -> str:
    names = [_NAMES.get(part, part) for part in of.split(" | ") if part != "null"]
    return " or ".join(dict.fromkeys(names)) or NOTHING


def type_complaint(message: str, later: str) -> tuple[str, str]:
    """Return code and words for what msgspec says of a record of the wrong types.

    `later` tells why a column that the first records lack is refused.
    """
    if unknown := _UNKNOWN.search(message):
        return COLUMN, f"column {unknown['name']!r} {later}"
    if length := _LENGTH.search(message):
        return TYPE, f"{length['path']} is not a list of {length['wanted']}"
    if missing := _MISSING.search(message):
        return TYPE, f"{missing['path'] or 'the record'} lacks {missing['name']!r}"
    if found := _EXPECTED.search(message):
        wanted, got = found["wanted"], _name(found["got"]) if found["got"] != "null" else NOTHING
        if wanted == "null":
            return COLUMN, f"{found['path']} is {got}, and null in every record before; {later}"
        return TYPE, f"{found['path'] or 'the record'} is {got}, where {_name(wanted)} is expected"
    return TYPE, message.replace("`", "")


def json_complaint(message: str, raw: bytes) -> str:
    """Return words for what msgspec says of bytes that are no JSON."""
    half = "half of a surrogate pair (\\ud…)"
    if message == "Input data was truncated":
        # It says the same of an escape at the end that is half of a pair.
        return half if _HALF.search(raw) and raw.rstrip().endswith(b"}") else "it breaks off"
    if "surrogate" in message:
        return half
    return _AT_BYTE.sub(r" at byte \1 of it", message.removeprefix("JSON is malformed: "))
