"""Hiding secrets in what is shown of a launch. Pure.

A value is secret by its name: of a variable, a key or a flag that speaks of a token, key, password
or secret. YAML and JSON are hidden as values, so that quoting and line breaks hide nothing from us.
"""

from __future__ import annotations

import json
import re
from typing import Any

HIDDEN = "(hidden)"
# "max_new_tokens" and "tokenizer" hide nothing; hiding "monkey" hurts nobody.
_SECRET = re.compile(r"TOKEN(?!S|I)|KEY(?!S)|PASSWORD|PASSWD|SECRET", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"^(-{0,2}[A-Za-z_][\w-]*)=(.*)$", re.DOTALL)
_LINE = re.compile(r"^(\s*(?:export\s+)?[\"']?([A-Za-z_][\w-]*)[\"']?\s*[:=]\s*)(\S.*)$")


def is_secret(name: str) -> bool:
    """Tell whether a variable, key or flag of that name holds a secret."""
    return _SECRET.search(name) is not None


def redact_value(value: Any) -> Any:
    """Return parsed YAML or JSON with every secret in it hidden."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if is_secret(str(key)) and _is_plain(item) else redact_value(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return _redact_list(value)
    return value


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list | bool) and value is not None


def _redact_list(values: list[Any]) -> list[Any]:
    hidden = []
    flag_before = False
    for value in values:
        text = value if isinstance(value, str) else ""
        if flag_before and not text.startswith("--") and _is_plain(value):
            hidden.append(HIDDEN)
        else:
            hidden.append(_redact_word(text) if text else redact_value(value))
        flag_before = text.startswith("--") and "=" not in text and is_secret(text)
    return hidden


def _redact_word(word: str) -> str:
    found = _ASSIGNMENT.match(word)
    return f"{found[1]}={HIDDEN}" if found and is_secret(found[1]) else word


def redact_file(path: str, content: str) -> str:
    """Return a file's text with every secret in it hidden; a file without secrets stays as it is."""
    parsed = _parse(path, content)
    if parsed is None:
        return "\n".join(_redact_line(line) for line in content.split("\n"))
    hidden = redact_value(parsed)
    if hidden == parsed:
        return content
    if path.endswith(".json"):
        return json.dumps(hidden, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return yaml.safe_dump(hidden, sort_keys=False, allow_unicode=True)


def _parse(path: str, content: str) -> Any:
    import yaml

    try:
        if path.endswith(".json"):
            return json.loads(content)
        return yaml.safe_load(content) if path.endswith((".yaml", ".yml")) else None
    except (ValueError, yaml.YAMLError):
        return None


def _redact_line(line: str) -> str:
    found = _LINE.match(line)
    return f"{found[1]}{HIDDEN}" if found and is_secret(found[2]) else line
