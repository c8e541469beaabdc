"""The rules as a page for people. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.rules.rule import About, Conditions, RuleBook

_HEAD = """\
# What goes together

kit refuses these combinations before it builds or launches anything. The data is
[`images/rules.yaml`](../../images/rules.yaml); `python images/update_rules.py` makes this page from it, and a
test compares the two.

A name in braces stands for a version or value that was found. A wheel of PyPI is told by having nothing after
a `+` in its version; one that you compile should be given such a local version.
"""
_SECTIONS: tuple[tuple[About, str, str], ...] = (
    ("image", "Packages of an image", "Held against every image's complete package lock by `kit lock`."),
    ("job", "Flags and arguments of a job", "Looked at by `kit lock`, `kit check`, `kit plan` and `kit up`."),
    ("host", "Drivers and cards of a host", "Looked at by `kit check` and `kit up`."),
)


def _condition(conditions: Conditions) -> str:
    return ", ".join(f"`{fact}` {' or '.join(f'`{word}`' for word in words)}" for fact, words in conditions)


def _code(text: str) -> str:
    """Return a text with the names in braces as code, so that they show."""
    return re.sub(r"\{([^{}]+)\}", r"`{\1}`", text).replace("``", "`")


def rules_document(book: RuleBook) -> str:
    """Return the page in Markdown."""
    lines = [_HEAD]
    for about, title, told in _SECTIONS:
        lines.append(f"## {title}\n\n{told}\n")
        for rule in (rule for rule in book.rules if rule.about == about):
            lines.append(f"### {rule.name}\n\n{_code(rule.what)}: {_code(rule.why)}.\n")
            needs = f"\n- needed then: {_condition(rule.needs)}" if rule.needs else ""
            lines.append(f"- applies to: {_condition(rule.when)}{needs}")
            lines.append(f"- to mend it: {_code(rule.fix)}\n- known from: {_code(rule.source)}\n")
    lines.append("## What follows from what\n\n| fact | is | when | known from |\n| --- | --- | --- | --- |")
    lines += [
        f"| `{line.fact}` | `{line.value}` | {_condition(line.when)} | {line.source} |"
        for line in book.derived
    ]
    return "\n".join(lines) + "\n"
