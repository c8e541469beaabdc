"""The form of a dataset as its entry in kit.yaml says it, read as LLaMA-Factory reads its own list. Pure.

Source: `DatasetAttr` and `get_dataset_list` in data/parser.py of LLaMA-Factory 0.9.3: columns and tags that
are given replace all of its defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.dataset.form import (
    DEFAULT_COLUMNS,
    KTO,
    PREFERENCE,
    SHAREGPT,
    SHAREGPT_TAGS,
    TRAIN,
    Form,
    check_columns,
)
from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.project.model import DatasetSpec


def registered_form(name: str, spec: DatasetSpec) -> Form:
    """Return the form of the dataset `name` of kit.yaml. Raises ConfigError naming a key that cannot be."""
    where = f"datasets.{name}"
    check_columns(spec.columns, f"{where}.columns")
    columns = dict(spec.columns or DEFAULT_COLUMNS[spec.format])
    first = "messages" if spec.format == SHAREGPT else "prompt"
    if first not in columns:
        raise ConfigError(
            f"LLaMA-Factory finds no {first} in it",
            where=f"{where}.columns",
            why="columns that are given replace all of its defaults",
            fix=f"{first}: the file's name of that column",
        )
    task = PREFERENCE if spec.ranking else KTO if "kto_tag" in columns else TRAIN
    tags = _tags(f"{where}.tags", spec) if spec.format == SHAREGPT else {}
    return Form(spec.format, task, tuple(columns.items()), tuple(tags.items()))


def _tags(where: str, spec: DatasetSpec) -> dict[str, str]:
    tags = dict(spec.tags or SHAREGPT_TAGS)
    for tag in ("role_tag", "content_tag", "user_tag", "assistant_tag"):
        if tag not in tags:
            raise ConfigError(
                f"LLaMA-Factory finds no {tag}",
                where=where,
                why="tags that are given replace all of its defaults",
                fix=f"{tag}: the file's word for it, e.g. {SHAREGPT_TAGS[tag]}",
            )
    return tags
