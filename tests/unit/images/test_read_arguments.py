"""Parsers are read from sources alone; what was recorded is what the sources say."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from images.arguments.read_config_flags import config_flags
from images.arguments.read_fields import field_rows, listed_classes
from images.arguments.read_flags import FlagReader, function_of
from images.arguments.read_wheel import Wheel

ARGS = """
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Literal, Optional, Union
from .kinds import Colour, Mode
import torch  # is not there, and need not be

class Strategy(str, Enum):
    NO = "no"
    STEPS = "steps"

@dataclass
class Base:
    rank: int = field(default=8, metadata={"help": "x"})
    hidden: int = field(default=0, init=False)
    shared: ClassVar[int] = 3
    names: str = "all"
    def __post_init__(self):
        self.names = split_arg(self.names)
        if isinstance(self.plain, bool): pass

@dataclass
class Args(Base, torch.Outside):
    rank: float = 1e-3
    mode: Mode = "a"
    strategy: Union[Strategy, str] = Strategy.NO
    debug: Union[str, list[Strategy]] = ""
    extra: "Optional[dict[str, Any]]" = None
    plain: str | None = None
    colour: Colour = "red"
    loose: Literal["x", "y"] | str = "x"

ALL = [Args]
"""
KINDS = """
from typing import Literal, TYPE_CHECKING
if TYPE_CHECKING:
    Colour = int
else:
    Colour = Literal["red", "green"]
Mode = Literal["a", "b"]
"""
PARSER = """
import argparse, json
from .args import Strategy
from .config import Config, Other
METHODS = ["m", "n"]
def human_readable_int(x): ...
def add(parser):
    kwargs = get_kwargs(Config)
    group = parser.add_argument_group("x")
    group.add_argument("--size", "-s", **kwargs["size"])
    group.add_argument("--big", type=human_readable_int)
    group.add_argument("--switch", action="store_true")
    group.add_argument("--either", action=argparse.BooleanOptionalAction)
    group.add_argument("--each", action="append", type=str)
    group.add_argument("--several", nargs="+", type=int, default=[1])
    group.add_argument("--perhaps", nargs="?", const=True, type=str)
    group.add_argument("--picked", choices=[*METHODS, None], default=Config.size)
    group.add_argument("--named", choices=[s.value for s in Strategy])
    group.add_argument("--unknown", choices=list(Registry.names))
    group.add_argument("--gone", action=DeprecatedAction)
    group.add_argument("--toggle", **{**kwargs["toggle"], "default": None})
    kwargs["tuned"]["type"] = json.loads
    group.add_argument("--tuned", **kwargs["tuned"])
    parser.add_argument("model_tag", nargs="?")
    return parser
"""
CONFIG = """
from dataclasses import dataclass, field
from typing import Literal, Optional
@dataclass
class Config:
    size: Optional[int] = None
    toggle: bool = True
    tuned: str = "x"
    shape: Literal["a", "b"] | None = None
    parts: list[float] = field(default_factory=list)
    table: dict[str, int] = field(default_factory=dict)
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    path = tmp_path / "it-1-py3-none-any.whl"
    with ZipFile(path, "w") as made:
        made.writestr("it/__init__.py", "raise RuntimeError('imported')")
        for name, text in (("args", ARGS), ("kinds", KINDS), ("parser", PARSER), ("config", CONFIG)):
            made.writestr(f"it/{name}.py", text)
    return Wheel(path)


def test_fields_are_read_with_those_of_the_classes_above(wheel: Wheel) -> None:
    assert listed_classes(wheel, "it.args:ALL") == ["it.args:Args"]
    assert field_rows(wheel, "it.args:Args") == {
        "rank": {"type": ["float"], "default": 1e-3},
        "names": {"type": ["str", "list"], "default": "all"},
        "mode": {"type": ["str"], "choices": ["a", "b"], "default": "a"},
        "strategy": {"type": ["str"], "choices": ["no", "steps"]},
        "debug": {"type": ["str", "list"], "default": ""},
        "extra": {"type": ["mapping", "null"], "default": None},
        "plain": {"type": ["str", "null"], "default": None},
        "colour": {"type": ["str"], "choices": ["red", "green"], "default": "red"},
        "loose": {"type": ["str"], "default": "x"},
    }


def test_flags_are_read_in_all_their_forms(wheel: Wheel) -> None:
    assert FlagReader(wheel).read(*function_of(wheel, "it.parser:add")) == {
        "size": {"takes": "one", "type": ["int"], "default": None},
        "big": {"takes": "one", "type": ["size"]},
        "switch": {"takes": "switch", "type": ["bool"]},
        "either": {"takes": "toggle", "type": ["bool"]},
        "each": {"takes": "append", "type": ["str"]},
        "several": {"takes": "many", "type": ["int"], "default": [1]},
        "perhaps": {"takes": "maybe", "type": ["str"]},
        "picked": {"takes": "one", "type": ["str"], "choices": ["m", "n"], "default": None},
        "named": {"takes": "one", "type": ["str"], "choices": ["no", "steps"]},
        "unknown": {"takes": "one", "type": ["str"]},
        "toggle": {"takes": "toggle", "type": ["bool"], "default": None},
        "tuned": {"takes": "one", "type": ["json"], "default": "x"},
    }


def test_fields_of_a_configuration_become_flags(wheel: Wheel) -> None:
    engine = wheel.module("it.parser")
    assert engine is not None
    flags = config_flags(wheel, engine, wheel.class_of("it.config:Config"))
    assert flags["shape"] == {"takes": "one", "type": ["str"], "choices": ["a", "b"], "default": None}
    assert (flags["parts"]["takes"], flags["parts"]["type"]) == ("many", ["float"])
    assert flags["table"]["type"] == ["json"]


def test_what_is_not_there_is_an_error(wheel: Wheel) -> None:
    for place in ("it.args:Nothing", "it.nowhere:Args"):
        with pytest.raises(LookupError):
            wheel.class_of(place)
    with pytest.raises(LookupError):
        function_of(wheel, "it.parser:nothing")
    with pytest.raises(LookupError):
        listed_classes(wheel, "it.args:Args")
