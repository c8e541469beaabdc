"""A dataset's rows as questions: the messages before the last answer, and that answer as the reference.

Runs inside an image, with Python's own library alone. Columns and tags are LLaMA-Factory's
(0.9.3 and 0.9.5, data/parser.py and data/converter.py), as kit.yaml has them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
_SHAREGPT = {"messages": "conversations"}
_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}


class WrongRowError(Exception):
    """A row that is no question, with its number and why."""


@dataclass(frozen=True)
class Row:
    """One question."""

    number: int
    """Counted from 1, in the order of the file."""
    messages: tuple[dict[str, str], ...]
    """As the chat API takes them."""
    reference: str
    """The answer that the dataset has; empty when it has none."""


def read_rows(dataset: Mapping[str, Any], system: str | None, limit: int | None) -> Iterator[Row]:
    """Yield the rows of a dataset, the first `limit` of them. Raises WrongRowError, OSError or ValueError."""
    read = _read_sharegpt if dataset["format"] == "sharegpt" else _read_alpaca
    for number, record in enumerate(_records(dataset["file"]), 1):
        if limit is not None and number > limit:
            return
        try:
            messages, reference = read(record, dataset)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise WrongRowError(f"row {number} of {dataset['file']}: {what}") from error
        if system is not None:
            messages = [{"role": "system", "content": system}, *_without_system(messages)]
        yield Row(number, tuple(messages), reference)


def _records(path: str) -> Iterator[Any]:
    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - a path as text is what there is
        start = file.read(1)
        while start.isspace():
            start = file.read(1)
        file.seek(0)
        if start == "[":
            yield from json.load(file)
            return
        for line in file:
            if line.strip():
                yield json.loads(line)


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    return [message for message in messages if message["role"] != "system"]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is not text")
    return value


def _read_alpaca(record: Mapping[str, Any], dataset: Mapping[str, Any]) -> tuple[list[dict[str, str]], str]:
    columns = dataset["columns"] or _ALPACA
    messages = []
    if record.get(columns.get("system", "system")):
        messages.append({"role": "system", "content": _text(record[columns.get("system", "system")])})
    for asked, answered in record.get(columns.get("history", "history")) or []:
        messages.append({"role": "user", "content": _text(asked)})
        messages.append({"role": "assistant", "content": _text(answered)})
    # What is asked is the instruction, and the input on a line of its own.
    parts = [_text(record[columns["prompt"]])] if record.get(columns["prompt"]) else []
    if columns.get("query") and record.get(columns["query"]):
        parts.append(_text(record[columns["query"]]))
    if not parts:
        raise ValueError(f"nothing is asked in {columns['prompt']!r}")
    messages.append({"role": "user", "content": "\n".join(parts)})
    return messages, _reference(record, dataset, columns, "response", "chosen" if dataset["ranking"] else "")


def _reference(
    record: Mapping[str, Any], dataset: Mapping[str, Any], columns: Mapping[str, str], *names: str
) -> str:
    for name in names:
        value = record.get(columns.get(name, name if name == "chosen" else ""))
        if isinstance(value, dict):
            value = value.get((dataset["tags"] or _TAGS).get("content_tag", "value"))
        if isinstance(value, list):
            value = value[0] if value else ""
        if value:
            return _text(value)
    return ""


def _read_sharegpt(record: Mapping[str, Any], dataset: Mapping[str, Any]) -> tuple[list[dict[str, str]], str]:
    columns, tags = dataset["columns"] or _SHAREGPT, {**_TAGS, **dataset["tags"]}
    roles = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant", tags["system_tag"]: "system"}
    messages = []
    if record.get(columns.get("system", "system")):
        messages.append({"role": "system", "content": _text(record[columns.get("system", "system")])})
    for turn in record[columns["messages"]]:
        role = roles.get(turn[tags["role_tag"]])
        if role is None:
            raise ValueError(f"a turn of {turn[tags['role_tag']]!r}, who neither asks nor answers")
        messages.append({"role": role, "content": _text(turn[tags["content_tag"]])})
    reference = _reference(record, dataset, columns, "chosen") if dataset["ranking"] else ""
    while messages and messages[-1]["role"] == "assistant":
        reference = reference or messages[-1]["content"]
        messages.pop()
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("nobody asks anything")
    return messages, reference
