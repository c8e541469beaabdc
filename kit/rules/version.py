"""Versions of Python packages and of drivers, compared as PEP 440 says. Pure.

Only what rules need: `<`, `<=`, `>`, `>=`, `==`, `!=`, and `==X.*`, joined by commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kit.errors import ConfigError

_VERSION = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[._-]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[._-]?(?P<pre_number>\d*))?"
    r"(?:-(?P<post_short>\d+)|[._-]?(?P<post>post|rev|r)[._-]?(?P<post_number>\d*))?"
    r"(?:[._-]?(?P<dev>dev)[._-]?(?P<dev_number>\d*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[._-][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_CLAUSE = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*(v?\d[^\s,]*)\s*")
_NEVER, _ALWAYS = (-1, 0), (9, 0)


@dataclass(frozen=True, slots=True)
class Version:
    """A version, taken apart."""

    release: tuple[int, ...]
    """Without trailing zeros."""
    pre: tuple[int, int] | None
    post: int | None
    dev: int | None
    local: str
    """Lower case; empty when there is none."""

    @property
    def key(self) -> tuple[tuple[int, ...], tuple[int, int], int, float]:
        """What public versions are ordered by."""
        pre = self.pre
        if pre is None:
            pre = _NEVER if self.post is None and self.dev is not None else _ALWAYS
        post = -1 if self.post is None else self.post
        return self.release, pre, post, float("inf") if self.dev is None else float(self.dev)


def parse_version(text: str) -> Version | None:
    """Return the version in a text, or None when it is none."""
    found = _VERSION.fullmatch(text.strip())
    if not found:
        return None
    release = tuple(int(part) for part in found["release"].split("."))
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    pre = (_PRE[found["pre"].lower()], int(found["pre_number"] or 0)) if found["pre"] else None
    post = None
    if found["post_short"] or found["post"]:
        post = int(found["post_short"] or found["post_number"] or 0)
    dev = int(found["dev_number"] or 0) if found["dev"] else None
    return Version(release, pre, post, dev, (found["local"] or "").lower())


def is_specifier(text: str) -> bool:
    """Tell whether a text is a condition on versions, such as `>=0.9,<0.10`."""
    return all(_CLAUSE.fullmatch(part) for part in text.split(","))


def matches(version: str, specifier: str) -> bool:
    """Return whether a version satisfies every clause. What is no version satisfies none.

    Pre-releases count as versions like any other. Raises ConfigError for what is no specifier.
    """
    found = parse_version(version)
    clauses = [_CLAUSE.fullmatch(part) for part in specifier.split(",")]
    if not all(clauses):
        raise ConfigError(f"{specifier!r} is no condition on versions", where="images/rules.yaml")
    return found is not None and all(_holds(found, clause[1], clause[2]) for clause in clauses if clause)


def _holds(version: Version, sign: str, text: str) -> bool:
    if sign in ("==", "!="):
        return _equals(version, text) is (sign == "==")
    wanted = parse_version(text)
    if wanted is None:
        raise ConfigError(f"{text!r} is no version", where="images/rules.yaml")
    same = version.release == wanted.release
    if sign == "<":
        # PEP 440: 0.9rc1 is not below 0.9 in the sense of `<0.9`.
        early = (
            same and (version.pre or version.dev is not None) and not (wanted.pre or wanted.dev is not None)
        )
        return version.key < wanted.key and not early
    if sign == ">":
        # Nor is 0.8.5.post1 above 0.8.5 in the sense of `>0.8.5`.
        late = same and version.post is not None and wanted.post is None and version.pre == wanted.pre
        return version.key > wanted.key and not late
    return version.key <= wanted.key if sign == "<=" else version.key >= wanted.key


def _equals(version: Version, text: str) -> bool:
    if text.endswith(".*"):
        prefix = tuple(int(part) for part in text[:-2].split("."))
        padded = version.release + (0,) * (len(prefix) - len(version.release))
        return padded[: len(prefix)] == prefix
    wanted = parse_version(text)
    if wanted is None:
        raise ConfigError(f"{text!r} is no version", where="images/rules.yaml")
    return version.key == wanted.key and (not wanted.local or wanted.local == version.local)
