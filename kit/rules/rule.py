"""The rules in `images/rules.yaml`, as frozen types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NoReturn, cast, get_args

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.own_yaml import read_own_yaml

About = Literal["image", "job", "host"]
Conditions = tuple[tuple[str, tuple[str, ...]], ...]
"""(fact, what its value may be: any of these)"""
_PLACE = "images/rules.yaml"


@dataclass(frozen=True, slots=True)
class Derived:
    """A fact that follows from others."""

    fact: str
    value: str
    when: Conditions
    source: str = ""
    """How it is known."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What must not be, or must be, when something is."""

    name: str
    about: About
    what: str
    """What is wrong, with facts in braces."""
    when: Conditions
    needs: Conditions
    """What must hold then; without any, it is refused outright."""
    why: str
    fix: str
    source: str
    """How it is known."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All of it."""

    derived: tuple[Derived, ...]
    """In order; the first that applies names a fact."""
    rules: tuple[Rule, ...]


def _refuse(key: str, message: str) -> NoReturn:
    raise ConfigError(f"{key}: {message}", where=_PLACE, fix=f"correct {_PLACE}")


def _conditions(value: Any, key: str) -> Conditions:
    if not isinstance(value, dict) or not value:
        _refuse(key, "a mapping of facts is needed")
    found = []
    for fact, wanted in value.items():
        words = tuple(wanted) if isinstance(wanted, list) else (wanted,)
        if not words or not all(isinstance(word, str) and word for word in words):
            _refuse(f"{key}.{fact}", "a text or a list of texts is needed (quote numbers)")
        found.append((str(fact), words))
    return tuple(found)


def _texts(value: Any, key: str, needed: tuple[str, ...], may: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, dict):
        _refuse(key, "a mapping is needed")
    for name in needed:
        if not isinstance(value.get(name), str) or not value[name].strip():
            _refuse(f"{key}.{name}", "a text is needed")
    for name in value:
        if name not in (*needed, *may):
            _refuse(f"{key}.{name}", "unknown key")
    return {name: " ".join(value[name].split()) for name in needed}


def parse_rules(document: Any) -> RuleBook:
    """Return the rules that a parsed rules.yaml describes. Raises ConfigError naming the key."""
    if not isinstance(document, dict) or set(document) != {"derive", "rules"}:
        _refuse("rules.yaml", "derive and rules are needed, and nothing else")
    derived = []
    for fact, lines in document["derive"].items():
        for number, line in enumerate(lines):
            key = f"derive.{fact}[{number}]"
            texts = _texts(line, key, ("value",), ("when", "source"))
            when, source = _conditions(line.get("when"), f"{key}.when"), str(line.get("source", ""))
            derived.append(Derived(fact, texts["value"], when, source))
    rules = []
    for name, value in document["rules"].items():
        key = f"rules.{name}"
        texts = _texts(value, key, ("about", "what", "why", "fix", "source"), ("when", "needs"))
        if texts["about"] not in get_args(About):
            _refuse(f"{key}.about", f"one of {', '.join(get_args(About))}")
        rules.append(
            Rule(
                name=str(name),
                about=cast("About", texts["about"]),
                what=texts["what"],
                when=_conditions(value.get("when"), f"{key}.when"),
                needs=_conditions(value["needs"], f"{key}.needs") if "needs" in value else (),
                why=texts["why"],
                fix=texts["fix"],
                source=texts["source"],
            )
        )
    return RuleBook(tuple(derived), tuple(rules))


@cache
def load_rules() -> RuleBook:
    """Return the rules that this installation of kit knows. Raises ConfigError."""
    return parse_rules(read_own_yaml((data_folder("images") / "rules.yaml").read_text(encoding="utf-8")))
