"""Holds facts against rules. Pure.

A fact is a name with one or more values: a package and its version, `torch.local` and the part after `+`,
`flag.reasoning-parser` and what it is set to, `gpu` and every card's name. A condition on it is a specifier
of versions (`>=0.9`), `present`, `absent`, or a pattern (`*geforce*`); several in a list are alternatives.
Names of facts in braces are replaced by their value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kit.rules.version import is_specifier, matches, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.rules.rule import About, Conditions, Rule, RuleBook

Facts = Mapping[str, tuple[str, ...]]
PRESENT, ABSENT, NONE = "present", "absent", "none"
_BRACES = re.compile(r"\{([^{}\s]+)\}")


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold."""

    rule: Rule
    what: str
    """What is wrong, in words."""
    why: str
    fix: str

    @property
    def text(self) -> str:
        """What is wrong, and why."""
        return f"{self.what}: {self.why}"


def package_facts(packages: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the facts about packages, given as (name, version): `torch`, `torch.local`."""
    facts: dict[str, tuple[str, ...]] = {}
    for name, version in packages:
        parsed = parse_version(version)
        facts[name] = (version,)
        facts[f"{name}.local"] = ((parsed.local if parsed else "") or NONE,)
    return facts


def derive(book: RuleBook, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Return the facts with what follows from them. What is a fact already stays."""
    found = dict(facts)
    for line in book.derived:
        if line.fact not in found and all(_holds(found, *condition) for condition in line.when):
            found[line.fact] = (_fill(line.value, found),)
    return found


def broken_rules(book: RuleBook, about: About, facts: Facts) -> tuple[Broken, ...]:
    """Return the rules about images, jobs or hosts that these facts break, in the book's order."""
    known = derive(book, facts)
    return tuple(
        Broken(rule, *(_fill(text, known) for text in (rule.what, rule.why, rule.fix)))
        for rule in book.rules
        if rule.about == about
        and all(_holds(known, *condition) for condition in rule.when)
        and not _satisfied(known, rule.needs)
    )


def _satisfied(facts: Facts, needs: Conditions) -> bool:
    """Tell whether all needs hold; a need of nothing that is there holds, unless it must be there."""
    if not needs:
        return False
    return all(
        all(_fits(value, words, facts) for value in facts[fact]) if fact in facts else PRESENT not in words
        for fact, words in needs
    )


def _holds(facts: Facts, fact: str, words: tuple[str, ...]) -> bool:
    if fact not in facts:
        return ABSENT in words
    return any(_fits(value, words, facts) for value in facts[fact])


def _fits(value: str, words: tuple[str, ...], facts: Facts) -> bool:
    return any(_matches(value, _fill(word, facts)) for word in words)


def _matches(value: str, word: str) -> bool:
    if word in (PRESENT, ABSENT):
        return word == PRESENT
    return matches(value, word) if is_specifier(word) else fnmatchcase(value.lower(), word.lower())


def _fill(text: str, facts: Facts) -> str:
    return _BRACES.sub(lambda found: ", ".join(facts.get(found[1], (NONE,))), text)
