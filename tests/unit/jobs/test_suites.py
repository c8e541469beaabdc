"""Jobs of kind eval with suites: what is measured, what goes along, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.jobs.launch import HostLaunch, ServedEndpoint
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from kit.project.references import image_of, shipped_model
from kit.ship.wanted import trees_of
from tests.unit.jobs.launch_factories import RUN_ID, context_of, document, file_of, service_of

SUITE = {"path": "data/exam.csv", "format": "choices", "columns": {"question": "Question"}}


def made(serve: Any = None, **job: Any) -> dict[str, Any]:
    whole = document()
    whole["datasets"]["exam"] = SUITE
    whole["jobs"]["exam"] = {"kind": "eval", "through": "serve", "suites": ["exam"]} | job
    whole["jobs"]["serve"] |= serve or {}
    return whole


def launched(endpoint: ServedEndpoint | None = None, **keys: Any) -> HostLaunch:
    project = parse_project(made(**keys))
    context = context_of(project)
    if endpoint is not None:
        context = replace(context, endpoints={"serve": endpoint})
    (share,) = make_launch(project, "exam", RUN_ID, context).hosts
    return share


def test_a_host_gets_the_suite_and_the_model_whose_tokens_are_counted() -> None:
    project = parse_project(made())
    assert image_of(project, "exam") == "train"
    assert trees_of(project, "exam") == (("dataset", "exam"), ("model", "tiny"))
    mounts = {mount["target"]: mount["source"] for mount in service_of(launched())["volumes"]}
    assert mounts["/kit/data/exam"] == "/aisys/kit/datasets/exam"
    assert mounts["/kit/models/tiny"] == "/aisys/kit/models/tiny"


def test_base_and_adapter_are_measured_with_the_tokenizer_of_what_they_were_made_from() -> None:
    share = launched(serve={"model": "tiny", "adapters": ["train"]})
    assert [
        (one["name"], one["model"], one["url"], one["tokenizer"])
        for one in json.loads(file_of(share, "endpoints.json"))
    ] == [(name, name, "http://127.0.0.1:8000", "/kit/models/tiny") for name in ("tiny", "train")]


def test_a_model_is_found_behind_exports_and_proxies_even_under_a_job_s_own_name() -> None:
    whole = made(through="front")
    whole["images"] = [*whole["images"], "proxy"]
    whole["jobs"]["front"] = {"kind": "proxy", "to": ["serve"], "hosts": ["gpu1"]}
    whole["models"]["serve"] = whole["models"]["tiny"]
    assert shipped_model(parse_project(whole), "front") == "tiny"


def test_shots_and_limit_reach_what_prepares_the_suite() -> None:
    settings = json.loads(file_of(launched(shots=5, limit=7), "suites.json"))
    assert (settings["shots"], settings["limit"], settings["concurrency"]) == (5, 7, 8)
    assert settings["suites"] == [
        {"name": "exam", "file": "/kit/data/exam/exam.csv", "columns": SUITE["columns"]}
    ]


def test_a_key_of_the_endpoint_is_in_no_file_that_others_read() -> None:
    share = launched(ServedEndpoint("gpu1", 8000, "127.0.0.1", "x", "s3cret"))
    assert {(file.path, file.mode) for file in share.files if "s3cret" in file.content} == {
        ("secret/keys.json", 0o600)
    }


@pytest.mark.parametrize(
    ("job", "match"),
    [
        ({"dataset": "questions"}, "name one of `dataset`"),
        ({"suites": []}, "name one of `dataset`"),
        ({"suites": ["questions"]}, "questions has no choices"),
        ({"suites": ["nothing"]}, "no dataset named 'nothing'"),
        ({"max_tokens": 5}, "max_tokens: no answers"),
        ({"suites": [], "dataset": "questions", "shots": 1}, "shots: solved questions"),
        ({"suites": [], "dataset": "exam"}, "exam holds questions with choices"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(job: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        parse_project(made(**job))


def test_a_suite_is_nothing_to_train_on() -> None:
    whole = made()
    whole["jobs"]["train"]["datasets"] = ["exam"]
    with pytest.raises(ConfigError, match=r"jobs\.train\.datasets: exam holds questions with choices"):
        parse_project(whole)


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({"path": "a.parquet"}, "choices are read from"),
        ({"columns": {"prompt": "q"}}, "columns.prompt"),
        ({"ranking": True}, "ranking and tags"),
    ],
)
def test_an_entry_that_is_no_suite_is_refused(entry: dict[str, Any], match: str) -> None:
    whole = made()
    whole["datasets"]["exam"] = SUITE | entry
    with pytest.raises(ConfigError, match=match):
        parse_project(whole)


@pytest.mark.parametrize(
    ("serve", "match"),
    [
        ({"kind": "api", "from": "train", "model": None}, "cannot be held to the letters"),
        ({"tls": {"cert": "c.pem", "key": "k.pem"}}, "speaks HTTPS"),
    ],
)
def test_what_cannot_be_held_to_letters_is_refused(serve: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        launched(serve=serve)
    assert caught.value.where == "jobs.exam.through"
    assert caught.value.fix
