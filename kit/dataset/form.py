"""The forms of training data that LLaMA-Factory reads, and telling which one a file has. Pure.

Source of the names: `DatasetAttr` in llamafactory/data/parser.py of 0.9.3, and what converter.py beside it
does with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ALPACA, SHAREGPT = "alpaca", "sharegpt"
TRAIN, PREFERENCE, KTO = "train", "preference", "kto"
TASKS = (TRAIN, PREFERENCE, KTO)
TEXT = "text"
OPENAI = "openai"

SHAREGPT_TAGS: Mapping[str, str] = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""LLaMA-Factory's own, used when dataset_info.json names none."""
OPENAI_TAGS: Mapping[str, str] = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
DEFAULT_COLUMNS: Mapping[str, Mapping[str, str]] = {
    ALPACA: {"prompt": "instruction", "query": "input", "response": "output"},
    SHAREGPT: {"messages": "conversations"},
}
"""LLaMA-Factory's own, used when dataset_info.json names none."""
_READ_BESIDE = ("system", "tools", "images", "videos", "audios")
_COLUMNS = (
    "prompt",
    "query",
    "response",
    "history",
    "messages",
    "system",
    "tools",
    "images",
    "videos",
    "audios",
)
COLUMNS = (*_COLUMNS, "chosen", "rejected", "kto_tag")
"""LLaMA-Factory's names for columns."""
NAMES = (
    *(f"{shape}{task}" for shape in (ALPACA, SHAREGPT, OPENAI) for task in ("", "-preference", "-kto")),
    TEXT,
)
"""What `--form` takes. `openai` is sharegpt with role and content."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a dataset is to be read."""

    formatting: str
    """`alpaca` or `sharegpt`, as dataset_info.json says it."""
    task: str
    """`train`, `preference` (pairs for rm and dpo) or `kto`."""
    columns: tuple[tuple[str, str], ...]
    """LLaMA-Factory's name of a column → the file's, for every column that is read."""
    tags: tuple[tuple[str, str], ...] = ()
    """Of sharegpt: LLaMA-Factory's name of a tag → the file's."""

    @property
    def column(self) -> dict[str, str]:
        """The columns as a mapping."""
        return dict(self.columns)

    @property
    def tag(self) -> dict[str, str]:
        """The tags as a mapping."""
        return dict(self.tags)

    @property
    def is_text(self) -> bool:
        """Whether it is plain text, for pretraining."""
        return self.formatting == ALPACA and set(self.column) == {"prompt"}

    @property
    def name(self) -> str:
        """The form's name, as `--form` takes it."""
        if self.is_text:
            return TEXT
        shape = OPENAI if self.tag.get("role_tag") == "role" else self.formatting
        return shape if self.task == TRAIN else f"{shape}-{self.task}"

    def entry(self) -> dict[str, Any]:
        """Return what kit.yaml must say beside `path`; nothing where LLaMA-Factory's defaults do."""
        found: dict[str, Any] = {"format": self.formatting}
        if self.task == PREFERENCE:
            found["ranking"] = True
        if self.column != DEFAULT_COLUMNS[self.formatting]:
            found["columns"] = self.column
        if self.formatting == SHAREGPT and self.tag != SHAREGPT_TAGS:
            found["tags"] = self.tag
        return found


def recognise(found: Mapping[str, Any], where: str, wanted: str = "") -> Form:
    """Return the form of a file whose columns hold such values, or the wanted one with the file's columns.

    `found` maps each column that was seen to its first value that is not null. Raises ConfigError when no
    form fits.
    """
    if wanted and wanted not in NAMES:
        raise ConfigError(f"no form {wanted!r}", where=where, fix=f"--form one of {', '.join(NAMES)}")
    shape, _, task = (wanted or _shape_of(found, where)).partition("-")
    if shape == TEXT:
        return Form(ALPACA, TRAIN, (("prompt", "text"),))
    task = task or (TRAIN if wanted else _task_of(found))
    if shape == ALPACA:
        return Form(ALPACA, task, _alpaca_columns(found, task))
    messages = "messages" if "conversations" not in found and "messages" in found else "conversations"
    tags = OPENAI_TAGS if shape == OPENAI else SHAREGPT_TAGS
    columns = (("messages", messages), *_beside(found), *_of_task(found, task))
    return Form(SHAREGPT, task, columns, tuple(tags.items()))


def check_columns(columns: Mapping[str, str], where: str) -> None:
    """Raise ConfigError for a name that LLaMA-Factory reads no column by."""
    for name in columns:
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise ConfigError(
                f"LLaMA-Factory reads no column {name!r}", where=where, fix=f"use one of {known}"
            )


def _shape_of(found: Mapping[str, Any], where: str) -> str:
    for name in ("conversations", "messages"):
        messages = found.get(name)
        if isinstance(messages, list):
            first = next((message for message in messages if isinstance(message, dict)), {})
            return OPENAI if "role" in first and "from" not in first else SHAREGPT
    if "instruction" in found:
        return ALPACA
    if "text" in found:
        return TEXT
    names = ", ".join(list(found)[:8]) or "none"
    raise ConfigError(
        "no form of training data that LLaMA-Factory reads",
        where=where,
        why=f"its columns: {names}",
        fix="name the columns, e.g. --form alpaca --column prompt=question --column response=answer",
    )


def _task_of(found: Mapping[str, Any]) -> str:
    if "chosen" in found and "rejected" in found:
        return PREFERENCE
    return KTO if _kto_column(found) else TRAIN


def _kto_column(found: Mapping[str, Any]) -> str:
    return next((name for name in ("kto_tag", "label") if isinstance(found.get(name), bool)), "")


def _of_task(found: Mapping[str, Any], task: str) -> tuple[tuple[str, str], ...]:
    if task == PREFERENCE:
        return (("chosen", "chosen"), ("rejected", "rejected"))
    return (("kto_tag", _kto_column(found) or "kto_tag"),) if task == KTO else ()


def _beside(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    # What has another type is somebody's own column of that name: LLaMA-Factory would die of it.
    kinds = (str, str, list, list, list)
    return tuple(
        (name, name)
        for name, kind in zip(_READ_BESIDE, kinds, strict=True)
        if isinstance(found.get(name), kind)
    )


def _alpaca_columns(found: Mapping[str, Any], task: str) -> tuple[tuple[str, str], ...]:
    columns = [("prompt", "instruction")]
    # A column that no record has is a KeyError there, even one of the defaults.
    if "input" in found:
        columns.append(("query", "input"))
    if task != PREFERENCE:
        columns.append(("response", "output"))
    if isinstance(found.get("history"), list):
        columns.append(("history", "history"))
    return (*columns, *_beside(found), *_of_task(found, task))
