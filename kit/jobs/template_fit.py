"""Whether a chat template fits a model: the mark that ends its answers must be a token there. Pure.

Source: the first such stop word of each `register_template` in LLaMA-Factory's data/template.py. It adds a
stop word that the tokenizer lacks as a new token (`fix_special_tokens` there), whose number lies beyond the
model's embeddings, or at a row of them that nobody trained, unless `resize_vocab` is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.arguments import is_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.project.job_model import TrainJob

    Knows = Callable[[str], bool | None]
    """Tells whether a model's tokenizer has a token; None when that cannot be seen."""

TOKENIZER = "tokenizer.json"
TOKENIZER_FILES = (TOKENIZER, "tokenizer_config.json", "added_tokens.json")
"""Files of a model that name its tokens; without the first nothing can be said."""
_NEW_TOKENS = ("add_tokens", "add_special_tokens", "new_special_tokens")
_SHOWN = 4


def quoted(token: str) -> str:
    """Return a token as it stands in those files; within a chat template there it looks otherwise."""
    return f'"{token}"'


def answer_ends(version: str) -> dict[str, str]:
    """Return template → the mark that ends its answers, for that version of LLaMA-Factory."""
    listed = data_folder("templates") / "llamafactory" / f"answer-ends-{version}.txt"
    if not listed.is_file():
        return {}
    lines = listed.read_text(encoding="utf-8").splitlines()
    return {name: mark for name, _, mark in (line.partition(" ") for line in lines)}


def check_template_fit(name: str, job: TrainJob, version: str, knows: Knows) -> str:
    """Return a note about a template that may not be the model's own; empty when there is none.

    Raises ConfigError for one that cannot be.
    """
    ends = answer_ends(version)
    mark = ends.get(job.template)
    if mark is None:
        own = next((other for other in dict.fromkeys(ends.values()) if knows(other)), None)
        return _note(name, job, own) if own and job.args.get("stage", "sft") != "pt" else ""
    if knows(mark) is not False or _is_added(mark, job):
        return ""
    fits = [other for other, end in ends.items() if knows(end)][:_SHOWN]
    instead = f"one that ends with a mark it has ({', '.join(fits)})" if fits else "one without such a mark"
    raise ConfigError(
        f"template {job.template!r} does not fit {job.model}, which has no token {mark} to end answers with",
        where=f"jobs.{name}.template",
        why="LLaMA-Factory would add it as a token for which the model has no trained embedding",
        fix=f"{instead}, or resize_vocab: true in args with a training that reaches the embeddings",
    )


def _is_added(mark: str, job: TrainJob) -> bool:
    given = (job.args.get(key) for key in _NEW_TOKENS)
    named = {word for value in given if value for word in ([value] if isinstance(value, str) else value)}
    return is_on(job.args.get("resize_vocab")) or any(mark in str(word).split(",") for word in named)


def _note(name: str, job: TrainJob, mark: str) -> str:
    return (
        f"jobs.{name}.template: {job.model} has a token {mark}, and {job.template!r} does without it; "
        "where the model has a chat template of its own, that one's name is right"
    )
