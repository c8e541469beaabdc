"""A chat template whose answers end with a token that the model does not have is refused."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.template_fit import answer_ends, check_template_fit
from kit.project.job_model import TrainJob
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import document

LLAMA_3 = {"<|eot_id|>", "<|begin_of_text|>"}
QWEN = {"<|im_start|>", "<|im_end|>"}


def job(template: str, **args: Any) -> TrainJob:
    project = parse_project(document({"template": template, "args": args}))
    return cast("TrainJob", project.jobs["train"])


def fits(tokens: set[str] | None, template: str, version: str = "0.9.3", **args: Any) -> str:
    return check_template_fit(
        "train", job(template, **args), version, lambda token: None if tokens is None else token in tokens
    )


@pytest.mark.parametrize("version", ["0.9.3", "0.9.5"])
@pytest.mark.parametrize(("tokens", "template"), [(QWEN, "qwen3"), (QWEN, "chatml"), (LLAMA_3, "llama3")])
def test_a_template_of_the_models_own_kind_fits(tokens: set[str], template: str, version: str) -> None:
    assert fits(tokens, template, version) == ""


def test_another_familys_template_is_refused_and_fitting_ones_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        fits(LLAMA_3, "qwen3")
    assert caught.value.where == "jobs.train.template"
    assert "no token <|im_end|>" in caught.value.what
    assert "llama3" in caught.value.fix
    with pytest.raises(ConfigError, match=r"no token <\|eot_id\|>"):
        fits(QWEN, "llama3")


def test_a_tokenizer_that_cannot_be_seen_is_no_reason() -> None:
    assert fits(None, "qwen3") == ""


@pytest.mark.parametrize(
    "args",
    [
        {"resize_vocab": True},
        {"new_special_tokens": "<|im_start|>,<|im_end|>"},
        {"add_special_tokens": ["<|im_end|>"]},
    ],
)
def test_a_token_that_the_training_adds_is_there(args: dict[str, Any]) -> None:
    assert fits(LLAMA_3, "qwen3", **args) == ""


def test_a_template_without_a_mark_is_noted_where_the_model_has_one() -> None:
    assert "<|im_end|>" in fits(QWEN, "alpaca")
    assert fits({"</s>"}, "alpaca") == ""
    assert fits(QWEN, "default", stage="pt") == ""


@pytest.mark.parametrize("version", ["0.9.3", "0.9.5"])
def test_every_listed_template_is_one_of_that_version(version: str) -> None:
    listed = data_folder("templates") / "llamafactory" / f"chat-templates-{version}.txt"
    known = set(listed.read_text(encoding="utf-8").split())
    assert answer_ends(version).keys() <= known
    assert all(mark.startswith("<") and mark.endswith(">") for mark in answer_ends(version).values())


def test_of_another_version_nothing_is_said() -> None:
    assert fits(LLAMA_3, "qwen3", "0.9.4") == ""
