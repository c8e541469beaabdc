"""Turns broken rules into the error that a user reads. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.rules.evaluate import Broken


def refuse(broken: tuple[Broken, ...], where: str) -> None:
    """Raise ConfigError with the first broken rule, the others named in it; pass when there is none."""
    if not broken:
        return
    first, *others = broken
    also = "".join(f"; also {other.text}" for other in others)
    raise ConfigError(
        first.what,
        where=where,
        why=f"{first.why} [rule {first.rule.name}: {first.rule.source}]{also}",
        fix=first.fix,
    )
