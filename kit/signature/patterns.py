"""Pattern lists as in ssh_config(5): `*` and `?`, `!` in front excludes, commas between. Pure."""

from __future__ import annotations


def _is_match(text: str, pattern: str) -> bool:
    """Tell whether a pattern matches the whole text, in time of both lengths multiplied at most."""
    place, at, star, resume = 0, 0, -1, 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            # Let the last star take one character more.
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def matches(text: str, patterns: str) -> bool:
    """Tell whether a pattern of the list matches the whole text, and none with `!` does."""
    found = False
    for pattern in patterns.split(","):
        if _is_match(text, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found
