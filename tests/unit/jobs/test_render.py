from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import yaml
from jinja2 import UndefinedError

from kit.errors import KitError
from kit.jobs.compose import Service, compose_yaml
from kit.jobs.places import Mount
from kit.jobs.render import compose_value, render, yaml_value

AWKWARD = [
    "",
    "plain",
    "double \" and single '",
    "back\\slash \\n",
    "line\nbreak\r\nand\ttab",
    "  spaces around  ",
    "$HOME ${HOME} $$ $",
    "{{ jinja }} {% raw %}",
    "<a href='x'>&amp;</a>",
    "断网的机器，怎样得到模型？",
    "emoji \U0001f680 and \x07 bell \x7f \x85 \u2028",
    "yes",
    "null",
    "~",
    "0123",
    "1e-4",
    "12:30:00",
    "- item",
    "key: value # no comment",
    "!!python/object:os.system",
    "*alias &anchor",
    "--- \n...",
    "x" * 500 + " " + "y" * 500,
]


@pytest.mark.parametrize("value", [*AWKWARD, True, False, None, 0, -7, 2.5, 1e-05, 1e22, [], {}])
def test_a_value_reads_back_as_itself(value: Any) -> None:
    text = yaml_value(value)
    assert "\n" not in text
    back = yaml.safe_load(f"key: {text}\n")["key"]
    assert back == value
    assert type(back) is type(value)


def test_nested_values_read_back() -> None:
    value = {"a b": [1, "two", {"$x": None}], "中": {"deep": [True, [0.1]]}}
    assert yaml.safe_load(yaml_value(value)) == value


def test_compose_replaces_nothing_in_a_value() -> None:
    text = yaml.safe_load(compose_value("a $NAME ${NAME:-x} $$ b"))
    assert "$" not in text.replace("$$", "")
    assert text.replace("$$", "$") == "a $NAME ${NAME:-x} $$ b"


def test_what_yaml_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="date"):
        yaml_value(dt.date(2026, 1, 1))


def test_a_template_without_its_value_fails() -> None:
    with pytest.raises(UndefinedError):
        render("compose/serve.yaml.j2", {})


def _service(**overrides: Any) -> Service:
    values: dict[str, Any] = {
        "name": "serve",
        "image": "kit.invalid/serve:0123456789ab",
        "container_name": "kit-serve",
        "user": "1000:1000",
        "command": ("python3", "-m", "server"),
        "environment": (("A", "b"),),
        "mounts": (Mount("/srv/model", "/kit/models/m"),),
        "labels": (("kit.job", "serve"),),
    }
    return Service(**(values | overrides))


@pytest.mark.parametrize("value", AWKWARD)
def test_awkward_text_survives_a_compose_file(value: str) -> None:
    service = _service(
        command=("program", value), environment=(("NAME", value),), labels=(("kit.job", value),)
    )
    found = yaml.safe_load(compose_yaml("serve", service))["services"]["serve"]
    assert found["command"][0].replace("$$", "$") == value
    assert found["environment"]["NAME"].replace("$$", "$") == value
    assert found["labels"]["kit.job"].replace("$$", "$") == value


def test_a_file_that_does_not_read_back_is_a_bug_and_said_to_be_one() -> None:
    # The data template renders no command; asking for one must not pass in silence.
    with pytest.raises(KitError, match="words") as caught:
        compose_yaml("data", _service(name="data", user="", mounts=(), ports=("127.0.0.1:1:1",)))
    assert caught.value.exit_code == 1
