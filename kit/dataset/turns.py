"""What is said in a record, whatever its form: the messages that LLaMA-Factory makes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.dataset.form import KTO, PREFERENCE, SHAREGPT

if TYPE_CHECKING:
    from kit.dataset.form import Form

USER, ASSISTANT, OBSERVATION, FUNCTION = "user", "assistant", "observation", "function"
_ROLES = {
    "user_tag": USER,
    "assistant_tag": ASSISTANT,
    "observation_tag": OBSERVATION,
    "function_tag": FUNCTION,
}
Turn = tuple[str, str]
"""Who speaks, and what."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One record, read."""

    turns: tuple[Turn, ...]
    """For preference without the answer; otherwise the last one is what is trained on."""
    answers: tuple[Turn, ...] = ()
    """Of preference: the chosen and the rejected."""
    system: str = ""
    tools: str = ""
    good: bool | None = None
    """Of KTO."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that is said, in order."""
        said = tuple(text for _, text in (*self.turns, *self.answers))
        return tuple(text for text in (self.system, self.tools) if text) + said


def read_talk(form: Form, record: Any) -> Talk:
    """Return what a record of `Schema.decoder` says; the judge has nothing against it."""
    turns, system = (
        _sharegpt_turns(form, record) if form.formatting == SHAREGPT else _alpaca_turns(form, record)
    )
    return Talk(
        turns=turns,
        answers=_answers(form, record) if form.task == PREFERENCE else (),
        system=(getattr(record, "system", None) if system is None else system) or "",
        tools=getattr(record, "tools", None) or "",
        good=record.kto_tag if form.task == KTO else None,
    )


def _alpaca_turns(form: Form, record: Any) -> tuple[tuple[Turn, ...], str | None]:
    turns: list[Turn] = []
    for asked, answered in getattr(record, "history", None) or ():
        turns += [(USER, asked), (ASSISTANT, answered)]
    asked = (record.prompt, getattr(record, "query", None))
    turns.append((USER, "\n".join(text for text in asked if text)))
    if form.task != PREFERENCE and not form.is_text:
        turns.append((ASSISTANT, record.response))
    return tuple(turns), None


def _role(form: Form, tag: str) -> str:
    return next(role for name, role in _ROLES.items() if form.tag.get(name) == tag)


def _sharegpt_turns(form: Form, record: Any) -> tuple[tuple[Turn, ...], str | None]:
    messages, system = record.messages, None
    if messages[0].role == form.tag.get("system_tag"):
        system, messages = messages[0].content, messages[1:]
    return tuple((_role(form, message.role), message.content) for message in messages), system


def _answers(form: Form, record: Any) -> tuple[Turn, ...]:
    if form.formatting == SHAREGPT:
        both = (record.chosen, record.rejected)
        return tuple((_role(form, answer.role), answer.content) for answer in both)
    return (ASSISTANT, record.chosen), (ASSISTANT, record.rejected)
