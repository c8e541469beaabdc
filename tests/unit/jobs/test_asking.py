"""Jobs of kind infer and eval: what is asked of whom, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.jobs.launch import HostLaunch, ServedEndpoint
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from kit.project.references import hosts_of, image_of
from kit.ship.wanted import trees_of
from tests.unit.jobs.launch_factories import RUN_ID, context_of, document, file_of, gpu_document, service_of

BASE = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], "port": 8001, "served_name": "base"}


def asking(kind: str = "infer", endpoints: Any = None, serve: Any = None, **job: Any) -> HostLaunch:
    """Return the launch of a job that asks `serve`, or `base` and `serve`, on gpu1."""
    through = {"infer": "serve", "eval": ["base", "serve"]}[kind]
    made = document()
    made["jobs"] |= {"base": BASE, "asks": {"kind": kind, "through": through, "dataset": "questions"} | job}
    made["jobs"]["serve"] |= serve or {}
    project = parse_project(made)
    jobs: dict[str, Any] = dict(project.jobs)
    served = {
        name: ServedEndpoint("gpu1", jobs[name].port, jobs[name].bind, f"id of {name}")
        for name in ("base", "serve")
    }
    context = replace(context_of(project), endpoints=served | (endpoints or {}))
    (share,) = make_launch(project, "asks", RUN_ID, context).hosts
    return share


def settings(share: HostLaunch) -> Any:
    return json.loads(file_of(share, "asking.json"))


def endpoints(share: HostLaunch) -> Any:
    return json.loads(file_of(share, "endpoints.json"))


def test_an_infer_job_runs_beside_the_endpoint_in_its_image_and_gets_the_dataset() -> None:
    made = document()
    made["jobs"]["asks"] = {"kind": "infer", "through": "serve", "dataset": "questions"}
    project = parse_project(made)
    assert (image_of(project, "asks"), hosts_of(project, "asks")) == ("serve", ("gpu1",))
    assert trees_of(project, "asks") == (("dataset", "questions"),)


def test_what_asks_needs_nothing_but_python_and_gets_the_earlier_runs_to_go_on_with() -> None:
    share = asking()
    service = service_of(share)
    assert service["entrypoint"] == ["python3"]
    assert service["command"] == ["/kit/run/asking/answer_rows.py", "/kit/run", "/kit/earlier"]
    mounts = {mount["target"]: mount["source"] for mount in service["volumes"] if mount["read_only"]}
    assert mounts == {
        "/kit/data/questions": "/aisys/kit/datasets/questions",
        "/kit/earlier": "/aisys/kit/runs/asks",
    }
    assert service["network_mode"] == "host"
    assert "progress" in share.folders


def test_the_question_says_what_the_job_says() -> None:
    share = asking(temperature=0.5, max_tokens=7, system="Be short.", limit=3, args={"top_p": 0.9})
    found = settings(share)
    assert found["body"] == {"temperature": 0.5, "max_tokens": 7, "top_p": 0.9}
    assert (found["system"], found["limit"], found["concurrency"]) == ("Be short.", 3, 8)
    assert found["dataset"]["file"] == "/kit/data/questions/questions.json"


def test_an_eval_compares_every_served_model_in_the_train_image_which_can_measure() -> None:
    share = asking("eval")
    assert "train" in share.image_tag
    assert service_of(share)["command"][0] == "/kit/run/asking/compare_rows.py"
    assert [(one["name"], one["url"], one["identity"]) for one in endpoints(share)] == [
        ("base", "http://127.0.0.1:8001", "id of base"),
        ("merge", "http://127.0.0.1:8000", "id of serve"),
    ]


def test_models_of_the_same_name_are_told_apart_by_their_job() -> None:
    names = [one["name"] for one in endpoints(asking("eval", serve={"served_name": "base"}))]
    assert names == ["base of base", "base of serve"]


def test_an_eval_takes_the_models_in_the_order_asked_for() -> None:
    assert [one["name"] for one in endpoints(asking("eval", models=["merge", "base"]))] == ["merge", "base"]


def test_a_key_of_the_endpoint_is_in_no_file_that_others_read() -> None:
    served = ServedEndpoint("gpu1", 8000, "127.0.0.1", "x", "s3cret")
    share = asking(endpoints={"serve": served})
    assert {file.path for file in share.files if "s3cret" in file.content} == {"secret/keys.json"}
    assert next(file.mode for file in share.files if file.path == "secret/keys.json") == 0o600
    assert "s3cret" not in repr(served)


def test_an_endpoint_on_another_host_is_asked_at_its_address() -> None:
    elsewhere = ServedEndpoint("gpu2", 8000, "0.0.0.0")
    assert endpoints(asking(endpoints={"serve": elsewhere}))[0]["url"] == "http://10.0.0.12:8000"


def test_an_endpoint_on_the_loopback_of_another_host_is_out_of_reach() -> None:
    with pytest.raises(ConfigError, match="loopback of gpu2") as caught:
        asking(endpoints={"serve": ServedEndpoint("gpu2", 8000, "127.0.0.1")})
    assert "hosts: [gpu2]" in caught.value.fix


@pytest.mark.parametrize(
    ("job", "key"),
    [
        ({"model": "other"}, "jobs.asks.model"),
        ({"args": {"stream": True}}, "jobs.asks.args.stream"),
        ({"args": {"temperature": 1}}, "jobs.asks.args.temperature"),
        ({"hosts": ["gpu1", "gpu2"]}, "jobs.asks.hosts"),
        ({"env": {"HF_HUB_OFFLINE": "0"}}, "jobs.asks.env.HF_HUB_OFFLINE"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_key(job: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        asking(**job)
    assert caught.value.where == key


@pytest.mark.parametrize(
    ("dataset", "match"),
    [
        ({"path": "data/rows.csv"}, "reads JSON and JSONL"),
        ({"path": "data/rows.json", "columns": {"response": "a"}}, "what is asked"),
        ({"path": "data/rows.json", "format": "sharegpt", "columns": {"chosen": "a"}}, "where the turns are"),
    ],
)
def test_a_dataset_without_questions_is_refused(dataset: dict[str, Any], match: str) -> None:
    made = document()
    made["datasets"]["questions"] = dataset
    made["jobs"]["asks"] = {"kind": "infer", "through": "serve", "dataset": "questions"}
    project = parse_project(made)
    served = {"serve": ServedEndpoint("gpu1", 8000, "127.0.0.1")}
    with pytest.raises(ConfigError, match=match):
        make_launch(project, "asks", RUN_ID, replace(context_of(project), endpoints=served))


@pytest.mark.parametrize("through", ["train", "nobody"])
def test_only_what_serves_can_be_asked(through: str) -> None:
    made = document()
    made["jobs"]["asks"] = {"kind": "infer", "through": through, "dataset": "questions"}
    with pytest.raises(ConfigError, match="no serve, api or proxy job named"):
        parse_project(made)


def test_adapters_beside_their_model_are_compared_at_one_endpoint() -> None:
    made = document()
    made["jobs"]["serve"] |= {"model": "tiny", "adapters": ["train"]}
    made["jobs"]["asks"] = {"kind": "eval", "through": "serve", "dataset": "questions"}
    project = parse_project(made)
    (share,) = make_launch(project, "asks", RUN_ID, context_of(project)).hosts
    assert [(one["name"], one["model"]) for one in endpoints(share)] == [("tiny", "tiny"), ("train", "train")]


def test_sglang_is_told_of_an_adapter_in_its_own_word() -> None:
    made = gpu_document()
    made["jobs"]["serve"] |= {"model": "tiny", "engine": "sglang", "adapters": ["train"]}
    made["jobs"]["asks"] = {"kind": "infer", "through": "serve", "dataset": "questions", "model": "train"}
    project = parse_project(made)
    assert image_of(project, "asks") == "serve-sglang"
    (share,) = make_launch(project, "asks", RUN_ID, context_of(project)).hosts
    (one,) = endpoints(share)
    assert (one["name"], one["model"], one["body"]) == ("train", "tiny", {"lora_path": "train"})


def test_replicas_are_asked_through_their_proxy() -> None:
    made = document(images=["train", "serve", "proxy"])
    made["jobs"]["front"] = {"kind": "proxy", "to": ["serve"], "hosts": ["gpu1"], "port": 8080}
    made["jobs"]["asks"] = {"kind": "infer", "through": "front", "dataset": "questions"}
    project = parse_project(made)
    assert image_of(project, "asks") == "serve"
    (share,) = make_launch(project, "asks", RUN_ID, context_of(project)).hosts
    assert [(one["url"], one["model"]) for one in endpoints(share)] == [("http://127.0.0.1:8080", "merge")]


def test_a_task_that_would_have_to_be_fetched_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="tasks: nothing is fetched on the intranet"):
        asking("eval", tasks=["mmlu"])
