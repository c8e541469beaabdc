"""What an engine's version takes, as recorded from its own parser in `images/arguments/`.

`python images/update_arguments.py` makes the tables from the wheels that the locks pin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.jobs.versions import transformers_of, version_of
from kit.project.job_model import ExportJob, ServeJob, TalkJob, TrainJob

if TYPE_CHECKING:
    from kit.project.model import Project

TITLES = {
    "llamafactory": "LLaMA-Factory",
    "transformers": "transformers",
    "vllm": "vLLM",
    "sglang": "SGLang",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument, or a flag without the dashes in front of it."""

    name: str
    kinds: tuple[str, ...]
    """What its value may be: bool, int, float, str, list, mapping, null, any; of flags size, auto, json."""
    choices: tuple[Any, ...] = ()
    """The only values, when there are any."""
    takes: str = ""
    """A flag's form: one, many, append, maybe (a value), switch, toggle (with `--no-`); "" for no flag."""
    only: str = ""
    """The kind of job that knows it, when another kind of the same engine does not."""


Table = Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class Known:
    """What kit knows about a job's arguments."""

    program: str
    """`vLLM 0.8.5.post1`: who takes them."""
    table: Table | None
    """None when kit has no table of that version."""
    others: Table
    """What the program knows in another kind of job only."""


@cache
def load_table(engine: str, version: str) -> Table | None:
    """Return the table of an engine's version; None when kit brings none."""
    file = data_folder("images") / "arguments" / f"{engine}-{version}.json"
    if not file.is_file():
        return None
    rows = json.loads(file.read_text(encoding="utf-8"))["arguments"]
    return {
        name: Argument(
            name=name,
            kinds=tuple(row["type"]),
            choices=tuple(row.get("choices", ())),
            takes=row.get("takes", ""),
            only=row.get("only", ""),
        )
        for name, row in rows.items()
    }


def known_arguments(project: Project, job_name: str) -> Known | None:
    """Return what kit knows about a job's arguments; None for a job that takes none, or has no engine."""
    job = project.jobs[job_name]
    if not isinstance(job, TrainJob | ExportJob | ServeJob | TalkJob):
        return None
    engine = job.engine if isinstance(job, ServeJob) else "llamafactory"
    version = version_of(project, engine)
    if version is None:
        return None
    parts: list[tuple[str, str]] = [(engine, version)]
    if isinstance(job, TrainJob):
        parts.append(("transformers", transformers_of(project)))
    program = " with ".join(f"{TITLES[name]} {number}" for name, number in parts)
    tables = [load_table(name, number) for name, number in parts]
    if None in tables:
        return Known(program, None, {})
    every = {name: argument for table in tables if table for name, argument in table.items()}
    here = {name: argument for name, argument in every.items() if argument.only in ("", job.kind)}
    return Known(program, here, {name: every[name] for name in every.keys() - here.keys()})
