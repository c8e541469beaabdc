"""Reading YAML that a person, or somebody far away, has written."""

from __future__ import annotations

from typing import Any

from kit.errors import ConfigError


def parse_yaml(text: str, where: str) -> Any:
    """Return what a YAML document says. Raises ConfigError naming `where` when it is none."""
    import yaml

    try:
        return yaml.safe_load(text)
    # PyYAML lets through what its constructors raise: for the 30th of February, `!!bool maybe`,
    # `!!timestamp x`, and what is nested too deep.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        why = " ".join(f"{error}".split()) or type(error).__name__
        raise ConfigError("not YAML", where=where, why=why[:500]) from error
