"""Text of unknown origin, made fit for a terminal. Pure."""

from __future__ import annotations

import re

_HARMFUL = re.compile("[^\n\t\x20-\x7e\xa0-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\U0010ffff]")
"""Characters that could rewrite a terminal or turn its text around, and halves of characters."""


def harmless(text: str) -> str:
    """Return text with such characters spelled out; it may quote a bundle, a disc or a host that lies."""
    return _HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str, limit: int = 300) -> str:
    """Return the beginning of a text as one harmless line."""
    words = " ".join(text[: 2 * limit].split())
    return harmless(words if len(words) <= limit else words[: limit - 1] + "…")
