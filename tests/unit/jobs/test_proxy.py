from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError
from kit.project.load import parse_project
from kit.run.access import given_key
from tests.factories import project_document
from tests.unit.jobs.launch_factories import file_of, launch_of, service_of, words_of


def _project(
    second: dict[str, Any] | None = None, hosts: dict[str, Any] | None = None, **front: Any
) -> dict[str, Any]:
    made = project_document(images=["train", "serve", "proxy"])
    made["hosts"] |= hosts or {}
    serve = {"kind": "serve", "model": "tiny"}
    made["jobs"] |= {
        "one": {**serve, "hosts": ["gpu1"]},
        "two": {**serve, "hosts": ["gpu2"], "bind": "0.0.0.0", "port": 8001, **(second or {})},
        "front": {"kind": "proxy", "to": ["one", "two"], "hosts": ["gpu1"], **front},
    }
    return made


def _config(made: dict[str, Any]) -> list[str]:
    (share,) = launch_of(made, "front").hosts
    return [line.strip() for line in file_of(share, "haproxy.cfg").splitlines()]


def test_each_replica_is_reached_where_it_listens() -> None:
    config = _config(_project())
    assert [line for line in config if line.startswith("server ")] == [
        "server one 127.0.0.1:8000",
        "server two 10.0.0.12:8001",
    ]
    assert "bind 127.0.0.1:8080" in config


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    hosts = {"gpu2": {"address": "fd00::2"}}
    config = _config(_project(hosts=hosts, bind="::", port=9000))
    assert {"bind [::]:9000", "server two [fd00::2]:8001"} <= set(config)


def test_it_runs_in_its_own_image_under_the_models_name() -> None:
    launch = launch_of(_project(), "front")
    (share,) = launch.hosts
    assert share.image_tag.startswith("kit.invalid/proxy:")
    assert words_of(share) == ["haproxy", "-db", "-f", "/kit/run/haproxy.cfg"]
    assert service_of(share)["network_mode"] == "host"
    assert (launch.served_name, launch.endpoint_port) == ("tiny", 8080)


def test_adapters_that_every_replica_serves_are_named() -> None:
    made = _project({"adapters": ["train"]})
    assert launch_of(made, "front").adapters == ()
    made["jobs"]["one"]["adapters"] = ["train"]
    assert launch_of(made, "front").adapters == ("train",)


@pytest.mark.parametrize(
    ("second", "front", "told"),
    [
        ({"served_name": "other"}, {}, "they answer to different names, other, tiny"),
        ({"bind": "127.0.0.1"}, {}, "jobs.two.bind: 0.0.0.0"),
        ({}, {"to": ["one", "merge"]}, r"jobs.front.to\[1\]: no serve job named 'merge'"),
        ({}, {"to": ["one", "one"]}, "a serve job is named twice"),
    ],
)
def test_what_cannot_stand_behind_one_address_is_refused(
    second: dict[str, Any], front: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_project(_project(second, **front))


def test_a_replica_of_another_machine_needs_an_address_that_leads_there() -> None:
    made = _project(hosts={"gpu2": {"address": "local"}})
    with pytest.raises(ConfigError, match="needs an address to reach it by") as caught:
        launch_of(made, "front")
    assert caught.value.where == "hosts.gpu2.address"


def test_the_replicas_key_opens_the_proxy() -> None:
    made = _project()
    made["jobs"]["one"]["env"] = {"VLLM_API_KEY": "k"}
    assert given_key(parse_project(made), "front") == "k"
