from __future__ import annotations

from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from tests.unit.jobs.launch_factories import document, file_of, launch_of, service_of


def _made(**job: Any) -> dict[str, Any]:
    made = document(images=["train", "serve", "data"])
    made["jobs"]["data"] = {"kind": "data", "hosts": ["gpu2"], **job}
    return made


def test_the_web_tool_is_reached_over_the_loopback_alone() -> None:
    launch = launch_of(_made(), "data")
    assert (launch.endpoint_bind, launch.endpoint_port) == ("127.0.0.1", 1717)
    assert service_of(launch.hosts[0])["ports"] == ["127.0.0.1:1717:1717"]


def test_another_address_and_port_lead_to_the_same_place() -> None:
    launch = launch_of(_made(bind="::1", port=8080), "data")
    assert service_of(launch.hosts[0])["ports"] == ["[::1]:8080:1717"]


def test_what_people_entered_outlives_the_run() -> None:
    (share,) = launch_of(_made(), "data").hosts
    service = service_of(share)
    assert {volume["target"]: volume["type"] for volume in service["volumes"]} == {
        "/app/local-db": "volume",
        "/app/prisma": "volume",
    }
    declared = yaml.safe_load(file_of(share, "compose.yaml"))["volumes"]
    assert set(declared) == {volume["source"] for volume in service["volumes"]}


def test_the_image_starts_as_its_makers_meant_it() -> None:
    service = service_of(launch_of(_made(env={"TZ": "Asia/Shanghai"}), "data").hosts[0])
    assert not {"user", "command", "entrypoint"} & service.keys()
    assert service["environment"]["TZ"] == "Asia/Shanghai"


def test_a_bind_that_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"jobs\.data\.bind"):
        launch_of(_made(bind="everywhere"), "data")
