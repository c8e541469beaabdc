"""Reading YAML that a person, or somebody far away, has written."""

from __future__ import annotations

from typing import Any

from kit.errors import ConfigError

_OF_TYPES = (AttributeError, TypeError)


def parse_yaml(text: str, where: str, *, as_texts: bool = False) -> Any:
    """Return what a YAML document says, with `as_texts` without dates and numbers: every value is a text.

    Raises ConfigError naming `where` when it is none.
    """
    import yaml

    try:
        return yaml.load(text, yaml.BaseLoader if as_texts else yaml.SafeLoader)  # noqa: S506 - both are safe
    # PyYAML lets through what its constructors raise: for the 30th of February, `!!bool maybe`,
    # `!!timestamp x`, "\UFFFFFFFF", and what is nested too deep.
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, *_OF_TYPES, RecursionError) as error:
        why = " ".join(f"{error}".split()) or type(error).__name__
        raise ConfigError("not YAML", where=where, why=why[:500]) from error
