"""Turning a file from one form into another, or from JSON to JSONL and back.

Nothing is lost: LLaMA-Factory makes the same messages, system text and tools of the new record as of the old,
and every other column stays as it is. A record of which that is not so is named, and nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.dataset.form import ALPACA, KTO, OPENAI, OPENAI_TAGS, PREFERENCE, SHAREGPT, SHAREGPT_TAGS, Form
from kit.dataset.read import Reader, columns_of
from kit.dataset.turns import ASSISTANT, FUNCTION, OBSERVATION, USER, Talk
from kit.dataset.write import ONCE, Writing, check_targets, written
from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kit.dataset.check import Wanted
    from kit.dataset.read import Entry
    from kit.progress import Progress

SHAPES = (ALPACA, SHAREGPT, OPENAI)
_TAGS = {SHAREGPT: SHAREGPT_TAGS, OPENAI: OPENAI_TAGS}
_TAG_OF_ROLE = {
    USER: "user_tag",
    ASSISTANT: "assistant_tag",
    OBSERVATION: "observation_tag",
    FUNCTION: "function_tag",
}


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written."""

    source: Path
    path: Path
    records: int
    form: str
    """Of what was written."""
    entry: Mapping[str, Any]
    """What kit.yaml must say of it, beside its path."""
    dry_run: bool


class _RefusedError(Exception):
    """Why a record has no such form."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The new form, and which columns beside the usual ones any record needs."""

    form: Form
    shape: str
    """One of SHAPES."""

    def record(self, talk: Talk) -> dict[str, Any]:
        """Return a record's columns. Raises _RefusedError."""
        column = self.form.column
        found = self._alpaca(talk) if self.shape == ALPACA else self._messages(talk)
        if "system" in column:
            found["system"] = talk.system
        if "tools" in column:
            found["tools"] = talk.tools
        if self.form.task == KTO:
            found[column["kto_tag"]] = talk.good
        return found

    def _alpaca(self, talk: Talk) -> dict[str, Any]:
        for index, (role, _) in enumerate((*talk.turns, *talk.answers)):
            if role not in {USER, ASSISTANT}:
                raise _RefusedError(f"message {index + 1} is a {role}'s, and alpaca has none of those")
        asked = talk.turns if talk.answers else talk.turns[:-1]
        found: dict[str, Any] = {"instruction": asked[-1][1], "input": ""}
        if talk.answers:
            found["chosen"], found["rejected"] = talk.answers[0][1], talk.answers[1][1]
        else:
            found["output"] = talk.turns[-1][1]
        if "history" in self.form.column:
            found["history"] = [
                [asked[index][1], asked[index + 1][1]] for index in range(0, len(asked) - 1, 2)
            ]
        return found

    def _messages(self, talk: Talk) -> dict[str, Any]:
        found: dict[str, Any] = {self.form.column["messages"]: [self._turn(*turn) for turn in talk.turns]}
        if talk.answers:
            found["chosen"], found["rejected"] = (self._turn(*answer) for answer in talk.answers)
        return found

    def _turn(self, role: str, text: str) -> dict[str, str]:
        tag = self.form.tag
        return {tag["role_tag"]: tag[_TAG_OF_ROLE[role]], tag["content_tag"]: text}


def convert(
    source: Path, path: Path, shape: str, wanted: Wanted, progress: Progress, writing: Writing = ONCE
) -> Converted:
    """Write a file's records into another, in another form; `shape` is one of SHAPES, or empty: as they are.

    Raises ConfigError for a record that is not right, or that the form has no place for.
    """
    if shape and shape not in SHAPES:
        raise ConfigError(f"no form {shape!r}", where="--to", fix=f"--to one of {', '.join(SHAPES)}")
    check_targets((path,), source, writing)
    reader = Reader(source, wanted)
    if reader.form.is_text and shape:
        raise ConfigError(
            "is plain text: it has no questions and answers", where=str(source), fix="leave --to out"
        )
    same = not shape or shape == reader.form.name.partition("-")[0]
    target = None if same else _target(reader, shape, progress)
    with written((path,), writing) as (file,):
        for entry, talk in reader.good_entries(progress, f"convert {source.name}"):
            file.add(_converted(reader, target, entry, talk) if target else entry.raw)
    form = target.form if target else reader.form
    return Converted(source, path, file.records, form.name, form.entry(), writing.dry_run)


def _converted(reader: Reader, target: _Target, entry: Entry, talk: Talk) -> bytes:
    try:
        return _new_record(reader.form, target, entry.raw, talk)
    except _RefusedError as refused:
        raise ConfigError(
            f"this record cannot become {target.shape}",
            where=reader.place(entry.line, entry.number),
            why=str(refused),
            fix="take the record out, or choose another form",
        ) from None


def _new_record(form: Form, target: _Target, raw: bytes, talk: Talk) -> bytes:
    import msgspec

    fresh, read = target.record(talk), _spoken(form)
    for name, value in columns_of(raw).items():
        if name in read:
            continue
        if name in fresh:
            raise _RefusedError(f"its column {name!r} would be overwritten")
        fresh[name] = value
    return msgspec.json.encode(fresh)


def _spoken(form: Form) -> set[str]:
    """Return the file's columns that a Talk holds; the others are kept as they are."""
    return {column for name, column in form.columns if name not in {"images", "videos", "audios"}}


def _target(reader: Reader, shape: str, progress: Progress) -> _Target:
    """Return the form that holds all records of a file. Reads it once."""
    has_history = has_system = has_tools = False
    for _, talk in reader.good_entries(progress, f"look through {reader.path.name}"):
        has_history = has_history or len(talk.turns) + bool(talk.answers) > 2  # noqa: PLR2004 - asked and answered
        has_system = has_system or bool(talk.system)
        has_tools = has_tools or bool(talk.tools)
    old = reader.form
    columns: list[tuple[str, str]] = []
    if shape == ALPACA:
        columns += [("prompt", "instruction"), ("query", "input")]
        columns += [] if old.task == PREFERENCE else [("response", "output")]
        columns += [("history", "history")] if has_history else []
    else:
        columns.append(("messages", "messages" if shape == OPENAI else "conversations"))
    columns += [("system", "system")] if has_system else []
    columns += [("tools", "tools")] if has_tools else []
    columns += [(name, old.column[name]) for name in ("images", "videos", "audios") if name in old.column]
    columns += [("chosen", "chosen"), ("rejected", "rejected")] if old.task == PREFERENCE else []
    columns += [("kto_tag", "label")] if old.task == KTO else []
    tags = tuple(_TAGS[shape].items()) if shape in _TAGS else ()
    formatting = ALPACA if shape == ALPACA else SHAREGPT
    return _Target(Form(formatting, old.task, tuple(columns), tags), shape)
