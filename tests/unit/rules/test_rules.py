from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.rules.document import rules_document
from kit.rules.evaluate import broken_rules, derive, package_facts
from kit.rules.rule import load_rules, parse_rules
from kit.rules.version import is_specifier, matches, parse_version

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "compatibility.md"


@pytest.mark.parametrize(
    ("version", "specifier", "holds"),
    [
        ("0.9.0rc1", "<0.9", False),
        ("0.9.0rc1", ">=0.8,<0.10", True),
        ("0.8.5.post1", ">0.8.5", False),
        ("0.8.5.post1", "==0.8.5", False),
        ("0.8.5.post1", "==0.8.5.*", True),
        ("2.6.0+cu126", "==2.6.0", True),
        ("2.6.0", "==2.6.0+cu126", False),
        ("535.183.01", "<525", False),
        ("unknown", ">=0", False),
    ],
)
def test_conditions_hold_as_pep_440_says(version: str, specifier: str, *, holds: bool) -> None:
    assert matches(version, specifier) is holds


def test_a_version_keeps_its_local_part() -> None:
    found = parse_version("2.6.0+CU126")
    assert found is not None
    assert found.local == "cu126"


@pytest.mark.parametrize("text", ["", "present", "*geforce*", "0.9", ">="])
def test_what_is_no_condition_on_versions_is_none(text: str) -> None:
    assert not is_specifier(text)
    with pytest.raises(ConfigError):
        matches("1.0", text)


def book(rule: dict[str, Any] | None = None, **overrides: Any) -> Any:
    given = {"about": "image", "what": "a {a}", "when": {"a": "<2"}, "why": "w", "fix": "f", "source": "s"}
    derive = {"a.kind": [{"value": "old", "when": {"a": "<1"}}, {"value": "new", "when": {"a": "present"}}]}
    return {"derive": derive, "rules": {"r": given | (rule or {})}} | overrides


def names(rule: dict[str, Any], *packages: tuple[str, str]) -> bool:
    return bool(broken_rules(parse_rules(book(rule)), "image", package_facts(packages)))


def test_the_first_line_that_applies_names_a_fact() -> None:
    rules = parse_rules(book())
    assert derive(rules, package_facts([("a", "0.5")]))["a.kind"] == ("old",)
    assert derive(rules, package_facts([("a", "1.5")]))["a.kind"] == ("new",)
    assert "a.kind" not in derive(rules, {})


def test_without_needs_a_rule_refuses_and_with_needs_only_what_lacks_them() -> None:
    assert names({}, ("a", "1"))
    assert not names({}, ("a", "2"))
    assert not names({}, ("b", "1"))
    assert not names({"needs": {"b": ">=3"}}, ("a", "1"))
    assert not names({"needs": {"b": ">=3"}}, ("a", "1"), ("b", "3"))
    assert names({"needs": {"b": ">=3"}}, ("a", "1"), ("b", "2"))
    assert names({"needs": {"b": "present"}}, ("a", "1"))


def test_absence_patterns_and_alternatives_are_conditions() -> None:
    assert names({"when": {"a": "present", "b": "absent"}}, ("a", "9"))
    assert not names({"when": {"a": "present", "b": "absent"}}, ("a", "9"), ("b", "1"))
    assert names({"when": {"a.local": ["cpu", "CU*"]}}, ("a", "9+cu126"))
    assert names({"when": {"a": "=={b}"}}, ("a", "3"), ("b", "3"))


def test_facts_in_braces_are_said() -> None:
    (found,) = broken_rules(parse_rules(book()), "image", package_facts([("a", "1+x")]))
    assert found.text == "a 1+x: w"


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ([], "rules.yaml"),
        ({"rules": {}}, "rules.yaml"),
        (book({"about": "car"}), "rules.r.about"),
        (book({"source": ""}), "rules.r.source"),
        (book({"unless": {}}), "rules.r.unless"),
        (book({"when": {"a": 2}}), "rules.r.when.a"),
        (book({"when": {}}), "rules.r.when"),
        (book({"needs": {"a": []}}), "rules.r.needs.a"),
        (book(derive={"x": [{"value": "y"}]}), "derive.x[0].when"),
    ],
)
def test_a_wrong_rule_is_named_with_its_key(document: Any, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(document)
    assert key in str(caught.value)


def test_every_rule_says_where_it_is_known_from() -> None:
    assert all(rule.source and rule.why and rule.fix for rule in load_rules().rules)


def test_the_page_says_what_the_data_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == rules_document(load_rules()), "python images/update_rules.py"
