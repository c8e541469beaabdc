"""What LLaMA-Factory would do with one record: take it, drop it, or die of it. Pure.

Source: converter.py, processor/*.py and formatter.py of llamafactory 0.9.3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kit.dataset.form import KTO, PREFERENCE, SHAREGPT

if TYPE_CHECKING:
    from kit.dataset.form import Form

Judge = Callable[[Any], "str | None"]
"""Takes a record of `Schema.decoder`; returns what is wrong with it, None when nothing is."""
_DROPPED = "LLaMA-Factory drops such a record"


def judge_for(form: Form) -> Judge:
    """Return what judges the records of this form."""
    inner = _Sharegpt(form) if form.formatting == SHAREGPT else _Alpaca(form)
    return _with_tools(inner, form.column["tools"]) if "tools" in form.column else inner


def _with_tools(inner: Judge, column: str) -> Judge:
    def judge(record: Any) -> str | None:
        if record.tools and (wrong := _wrong_json(record.tools, list)):
            return f"{column} is not a JSON list in a text ({wrong})"
        return inner(record)

    return judge


def _wrong_mark(record: Any, column: str, answer: str) -> str | None:
    if not isinstance(record.kto_tag, bool):
        return f"{column} is neither true nor false: {_DROPPED}"
    if record.kto_tag and not answer:
        # The processor tells the good from the bad by which of two answers is empty.
        return f"{column} is true and the answer is empty: LLaMA-Factory takes it for an undesired one"
    return None


def _wrong_json(text: str, kind: type) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "" if isinstance(value, kind) else f"it is a {type(value).__name__}"


class _Alpaca:
    def __init__(self, form: Form) -> None:
        self._task, self._column = form.task, form.column
        self._is_text = form.is_text

    def __call__(self, record: Any) -> str | None:
        if self._is_text:
            return None if record.prompt else f"{self._column['prompt']} is missing or empty"
        if self._task == PREFERENCE:
            return self._missing(record, "chosen") or self._missing(record, "rejected")
        if wrong := self._missing(record, "response"):
            return wrong
        return _wrong_mark(record, self._column["kto_tag"], record.response) if self._task == KTO else None

    def _missing(self, record: Any, name: str) -> str | None:
        if name not in self._column:
            return f"the form has no column for {name}"
        if isinstance(getattr(record, name), str):
            return None
        return f"{self._column[name]} is missing or null: {_DROPPED}"


class _Sharegpt:
    def __init__(self, form: Form) -> None:
        tag = form.tag
        self._task, self._column = form.task, form.column
        self._system, self._function = tag.get("system_tag"), tag.get("function_tag")
        asking = tuple(tag[name] for name in ("user_tag", "observation_tag") if tag.get(name))
        answering = tuple(tag[name] for name in ("assistant_tag", "function_tag") if tag.get(name))
        self._turns = (asking, answering)
        self._odd = 1 if form.task == PREFERENCE else 0

    def __call__(self, record: Any) -> str | None:
        messages = record.messages
        if not messages or not isinstance(messages, list):
            return f"{self._column['messages']} is missing or empty"
        begin = 1 if messages[0].role == self._system else 0
        count = len(messages) - begin
        if wrong := self._wrong_role(messages, begin):
            return wrong
        if count % 2 != self._odd or not count:
            return (
                f"{count} messages beside the system's, where an {'odd' if self._odd else 'even'} count is "
                f"needed: {_DROPPED}"
            )
        if self._task == PREFERENCE:
            return self._wrong_answer(record, "chosen") or self._wrong_answer(record, "rejected")
        return (
            _wrong_mark(record, self._column["kto_tag"], messages[-1].content) if self._task == KTO else None
        )

    def _wrong_role(self, messages: Sequence[Any], begin: int) -> str | None:
        turns = self._turns
        for index in range(begin, len(messages)):
            role = messages[index].role
            expected = turns[(index - begin) & 1]
            if role not in expected:
                turn = " or ".join(expected)
                return f"message {index + 1} is of {role!r}, where {turn} has its turn: {_DROPPED}"
            if role == self._function and (wrong := _wrong_call(messages[index].content)):
                return f"message {index + 1} is no function call in JSON ({wrong})"
        return None

    def _wrong_answer(self, record: Any, name: str) -> str | None:
        answer = getattr(record, name)
        role = getattr(answer, "role", None)
        if role is None:
            return f"{self._column[name]} is missing or null: {_DROPPED}"
        if role not in self._turns[1]:
            return f"{self._column[name]} is of {role!r}, where {' or '.join(self._turns[1])} answers"
        return None


def _wrong_call(text: str) -> str:
    # What a model thinks before the call may stand in it.
    _, thought, after = text.partition("</think>")
    if wrong := _wrong_json(after if thought else text, object):
        return wrong
    calls = json.loads(after if thought else text)
    for call in calls if isinstance(calls, list) else [calls]:
        if not isinstance(call, dict) or not {"name", "arguments"} <= call.keys():
            return "each call needs name and arguments"
    return ""
