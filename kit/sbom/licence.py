"""Licences: from what packages write to SPDX identifiers and expressions, where that is certain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kit.sbom.spdx import CLASSIFIERS, EXCEPTIONS, IDENTIFIERS, SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 120
"""Characters of a licence's name; some packages write the whole text there."""
_EXAMINED = 6_000
"""Characters of a licence's text that are looked at."""
_OPERATORS = re.compile(r"\s+(and|or|with)\s+|([()])", re.IGNORECASE)
_EXCEPTION_BY_NAME = {name.lower(): name for name in EXCEPTIONS}


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, in order; empty ones, of which nothing could be shown, are none."""
    return tuple(dict.fromkeys(filter(None, names)))


def is_identifier(licence: str) -> bool:
    """Tell whether it is one SPDX identifier."""
    return licence in IDENTIFIERS


def is_expression(licence: str) -> bool:
    """Tell whether it is an SPDX expression of several identifiers that kit knows."""
    return not is_identifier(licence) and known_licence(licence) == licence


def known_licence(text: str) -> str | None:
    """Return the SPDX identifier or expression that a text stands for; None when that is not certain."""
    bare = " ".join(text.split())
    if len(bare) > 10 * _SHOWN:
        return None
    found = SPELLINGS.get(bare.lower())
    if found or not bare:
        return found
    words = [word for word in (piece.strip() for piece in _split(bare)) if word]
    return _expression(words) if len(words) > 1 else None


def _split(text: str) -> list[str]:
    return [piece for piece in _OPERATORS.split(text) if piece]


def _expression(words: list[str]) -> str | None:
    """Return the words as an expression when operands and operators take turns and all are known."""
    written: list[str] = []
    depth, operand_next, after_with = 0, True, False
    for word in words:
        lower = word.lower()
        if word in ("(", ")"):
            if (word == "(") != operand_next or after_with:
                return None
            depth += 1 if word == "(" else -1
            written.append(word)
        elif lower in ("and", "or", "with"):
            if operand_next:
                return None
            operand_next, after_with = True, lower == "with"
            written.append(lower.upper())
        else:
            known = (_EXCEPTION_BY_NAME if after_with else SPELLINGS).get(lower)
            if not operand_next or known is None:
                return None
            operand_next, after_with = False, False
            written.append(known)
        if depth < 0:
            return None
    if depth or operand_next:
        return None
    return " ".join(written).replace("( ", "(").replace(" )", ")")


def classifier_licence(classifier: str) -> str:
    """Return the licence of a classifier such as `License :: OSI Approved :: MIT License`."""
    last = classifier.rsplit(" :: ", 1)[-1].strip()
    return CLASSIFIERS.get(last) or known_licence(last) or shortened(last)


def debian_licence(name: str) -> str:
    """Return the licence that a copyright file's short name stands for."""
    return known_licence(name) or shortened(name)


def shortened(text: str) -> str:
    """Return the first line of a text as a name, at most 120 characters that can be shown."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    shown = "".join(character for character in line if character.isprintable())
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"


_TEXTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Apache-2.0", ("apache license", "version 2.0, january 2004"), ()),
    ("MPL-2.0", ("mozilla public license version 2.0",), ()),
    ("PSF-2.0", ("python software foundation license version 2",), ("cnri", "beopen")),
    ("Unlicense", ("free and unencumbered software released into the public domain",), ()),
    (
        "MIT",
        ("permission is hereby granted, free of charge, to any person obtaining a copy", "merge, publish,"),
        ("except as contained in this notice", "redistribution and use in source"),
    ),
    (
        "ISC",
        ("permission to use, copy, modify, and/or distribute this software for any purpose",),
        ("redistribution and use in source",),
    ),
    (
        "BSD-3-Clause",
        ("redistribution and use in source and binary forms", "neither the name"),
        ("all advertising materials", "permission is hereby granted"),
    ),
    (
        "BSD-2-Clause",
        ("redistribution and use in source and binary forms", "this list of conditions"),
        ("neither the name", "advertising", "permission is hereby granted", "may not be used to endorse"),
    ),
)
"""Identifier, phrases that its text has, phrases that only others have."""


def licence_of_text(text: str) -> str | None:
    """Return the identifier of a licence told by its whole text; None when that is not certain."""
    plain = " ".join(text[:_EXAMINED].lower().split())
    for identifier, has, lacks in _TEXTS:
        if all(phrase in plain for phrase in has) and not any(phrase in plain for phrase in lacks):
            return identifier
    return None
