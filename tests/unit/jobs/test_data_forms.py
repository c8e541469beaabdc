"""Which datasets a stage of training reads."""

from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError
from kit.jobs.job_rules import check_job
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import document

PAIRS = {"prompt": "question", "chosen": "good", "rejected": "bad"}
FORMS: dict[str, dict[str, Any]] = {
    "answers": {},
    "talk": {"format": "sharegpt"},
    "text": {"columns": {"prompt": "text"}},
    "pairs": {"ranking": True, "columns": PAIRS},
    "marks": {"columns": {"prompt": "question", "response": "answer", "kto_tag": "label"}},
}
FIT = {
    ("sft", "answers"),
    ("sft", "talk"),
    ("pt", "text"),
    ("rm", "pairs"),
    ("dpo", "pairs"),
    ("kto", "marks"),
}


def check(stage: str, form: str, **entry: Any) -> None:
    made = document(
        {"datasets": ["one"], "args": {"stage": stage}},
        datasets={"one": {"path": "one.json", **FORMS[form], **entry}},
    )
    check_job(parse_project(made), "train")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stage", ["sft", "pt", "rm", "dpo", "kto"])
def test_a_stage_takes_its_own_forms_and_refuses_the_others(stage: str, form: str) -> None:
    if (stage, form) in FIT:
        check(stage, form)
        return
    with pytest.raises(ConfigError) as caught:
        check(stage, form)
    assert caught.value.where == "jobs.train.datasets"
    assert f"stage {stage} trains on" in caught.value.what
    assert "datasets.one" in caught.value.fix


def test_the_stage_is_sft_when_nothing_is_said() -> None:
    made = document({"datasets": ["one"]}, datasets={"one": {"path": "one.json", **FORMS["marks"]}})
    with pytest.raises(ConfigError, match="marked answers are for stage kto"):
        check_job(parse_project(made), "train")


@pytest.mark.parametrize("column", ["chosen", "rejected"])
def test_pairs_name_both_of_their_columns(column: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("dpo", "pairs", columns={name: of for name, of in PAIRS.items() if name != column})
    assert caught.value.where == "datasets.one.columns"
    assert column in caught.value.what
