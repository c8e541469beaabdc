from __future__ import annotations

from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.project.load import parse_project
from kit.run.needs import makers_of
from tests.unit.jobs.launch_factories import document, file_of, launch_of, service_of, words_of


def _made(**job: Any) -> dict[str, Any]:
    made = document({"template": "chatml"})
    made["jobs"]["chat"] = {"kind": "chat", "from": "train", "hosts": ["gpu1"], **job}
    return made


def test_it_has_a_terminal_and_no_network() -> None:
    (share,) = launch_of(_made(), "chat").hosts
    service = service_of(share)
    assert (service["tty"], service["stdin_open"], service["network_mode"]) == (True, True, "none")
    assert words_of(share) == ["llamafactory-cli", "chat", "/kit/run/chat.yaml"]


def test_it_answers_with_what_the_training_made() -> None:
    launch = launch_of(_made(args={"temperature": 0.5}), "chat")
    found = yaml.safe_load(file_of(launch.hosts[0], "chat.yaml"))
    assert found["adapter_name_or_path"] == "/kit/adapters/train"
    assert (found["template"], found["temperature"]) == ("chatml", 0.5)
    assert launch.endpoint_port is None
    assert makers_of(parse_project(_made()), "chat") == ("train",)


def test_it_listens_nowhere() -> None:
    with pytest.raises(ConfigError, match=r"jobs\.chat\.port"):
        parse_project(_made(port=8000))
