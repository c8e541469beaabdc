"""Whether the datasets of a training are of the form that its stage reads. Pure.

Source: data/loader.py and data/processor/*.py of LLaMA-Factory 0.9.3 and 0.9.5. A dataset of another form is
refused there ("not applicable in the current training stage"), or every record of it is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.project.job_model import TrainJob
    from kit.project.model import DatasetSpec, Project

ANSWERS, TEXT, PAIRS, MARKS = "questions and answers", "plain text", "pairs of answers", "marked answers"
READS: dict[str, tuple[str, ...]] = {
    "pt": (TEXT,),
    "sft": (ANSWERS,),
    "rm": (PAIRS,),
    "dpo": (PAIRS,),
    "kto": (MARKS,),
    "ppo": (ANSWERS, TEXT),
}
"""Stage → what its datasets may hold; orpo and simpo are dpo with another loss."""
_SAID = {
    ANSWERS: "format: alpaca or sharegpt, without ranking and without a column kto_tag",
    TEXT: "format: alpaca and columns: {prompt: text}, the column of the file that holds it",
    PAIRS: "ranking: true, and columns that name chosen and rejected",
    MARKS: "columns with kto_tag: the column of the file that is true or false",
}


def holds(spec: DatasetSpec) -> str:
    """Return what kit.yaml says that a dataset holds: ANSWERS, TEXT, PAIRS or MARKS."""
    if spec.ranking:
        return PAIRS
    if "kto_tag" in spec.columns:
        return MARKS
    return TEXT if spec.format == "alpaca" and set(spec.columns) == {"prompt"} else ANSWERS


def check_data_forms(project: Project, name: str) -> None:
    """Raise ConfigError for the first dataset of a train job that its stage cannot read."""
    job = cast("TrainJob", project.jobs[name])
    stage = str(job.args.get("stage", "sft"))
    for dataset in job.datasets:
        spec = project.datasets[dataset]
        found = holds(spec)
        fits = READS.get(stage, (found,))
        if found not in fits:
            stages = ", ".join(other for other, forms in READS.items() if found in forms)
            raise ConfigError(
                f"stage {stage} trains on {fits[0]}, and dataset {dataset} holds {found}",
                where=f"jobs.{name}.datasets",
                why=f"kit.yaml says it in datasets.{dataset}; {found} are for stage {stages}",
                fix=f"another dataset or stage, or in datasets.{dataset}: {_SAID[fits[0]]}",
            )
        _check_pairs(dataset, spec)


def _check_pairs(dataset: str, spec: DatasetSpec) -> None:
    for column in ("chosen", "rejected") if spec.ranking else ():
        if column not in spec.columns:
            raise ConfigError(
                f"pairs need the column {column}",
                where=f"datasets.{dataset}.columns",
                why="LLaMA-Factory has no default for it",
                fix=f"{column}: the file's name of it; kit dataset register writes such an entry",
            )
