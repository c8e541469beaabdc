from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version as Reference

from kit.errors import ConfigError
from kit.rules.document import rules_document
from kit.rules.evaluate import broken_rules, derive, package_facts
from kit.rules.rule import load_rules, parse_rules
from kit.rules.version import is_specifier, matches, parse_version

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "compatibility.md"

numbers = st.integers(0, 12)
releases = st.lists(numbers, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
versions = st.builds(
    lambda release, pre, post, dev, local: f"{release}{pre}{post}{dev}{local}",
    releases,
    st.sampled_from(["", "a1", "b2", "rc1", "rc"]),
    st.sampled_from(["", ".post0", ".post1", "-2"]),
    st.sampled_from(["", ".dev3"]),
    st.sampled_from(["", "+cu126", "+cpu", "+cu12torch2.6cxx11abifalse"]),
)
publics = versions.map(lambda text: text.partition("+")[0])


@given(versions)
def test_versions_are_read_as_packaging_reads_them(text: str) -> None:
    ours = parse_version(text)
    assert ours is not None
    assert ours.local == (Reference(text).local or "")


@given(versions, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), publics)
def test_conditions_hold_as_packaging_says(version: str, sign: str, wanted: str) -> None:
    specifier = f"{sign}{wanted}"
    assert matches(version, specifier) == SpecifierSet(specifier, prereleases=True).contains(version)


@given(versions, releases)
def test_prefixes_match_as_packaging_says(version: str, release: str) -> None:
    specifier = f"=={release}.*"
    assert matches(version, specifier) == SpecifierSet(specifier, prereleases=True).contains(version)


@pytest.mark.parametrize("text", ["", "present", "*geforce*", "~=1.0", "0.9", ">="])
def test_what_is_no_condition_on_versions_is_none(text: str) -> None:
    assert not is_specifier(text)
    with pytest.raises(ConfigError):
        matches("1.0", text)


def test_what_is_no_version_satisfies_nothing() -> None:
    assert not matches("unknown", ">=0")


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
