"""Imports for the tests of kit.importing, out of texts and an imagined folder of files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kit.importing.recognise import drafts_of_command, drafts_of_text

if TYPE_CHECKING:
    from kit.importing.draft import Draft

TRAINING: dict[str, Any] = {
    "model_name_or_path": "Qwen/Qwen3-8B",
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "dataset": "notes",
    "template": "qwen3",
    "output_dir": "saves/notes",
}


def training(**changes: Any) -> str:
    """A LLaMA-Factory file, some arguments changed; JSON is YAML too. None stays none."""
    return json.dumps({**TRAINING, **changes})


def drafts(text: str, **files: str) -> tuple[Draft, ...]:
    """The jobs of a text; `files` are there under their names, with _ for a dot."""
    there = {name.replace("_", "."): content for name, content in files.items()}
    return drafts_of_text(text, "it", there.get)


def draft(text: str, **files: str) -> Draft:
    (found,) = drafts(text, **files)
    return found


def draft_of(*words: str) -> Draft:
    (found,) = drafts_of_command(words, "the command line", lambda _: None)
    return found


def table(found: Draft) -> dict[str, tuple[str, str, str]]:
    """What was given, or what was added → action, what it becomes, and why."""
    lines = found.invocation.changes.lines
    return {line.given or line.becomes: (line.action, line.becomes, line.because) for line in lines}
