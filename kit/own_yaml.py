"""Reading YAML that kit itself has written or brings along."""

from __future__ import annotations

from typing import Any


def read_own_yaml(text: str) -> Any:
    """Return what a YAML document of kit's own says. Raises yaml.YAMLError for one that is damaged.

    libyaml reads it where PyYAML has that: as good for what is known to be sound, and many times as fast.
    What others have written is for kit/written_yaml.py alone: libyaml's reader overruns the stack where
    brackets nest deep.
    """
    import yaml

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
