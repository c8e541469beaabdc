"""What a machine demands of bundles, as somebody wrote it down: trust.yaml. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Policy:
    """The keys of a trust.yaml."""

    require_signature: bool = False
    allowed_signers: str = ""
    """Path of an allowed-signers file, relative to the policy; empty: none."""
    signers: tuple[str, ...] = ()
    """Principals that count; empty: all in the file."""
    refuse_older: bool = False


_KEYS = ("require_signature", "allowed_signers", "signers", "refuse_older")


def parse_policy(document: Any, where: str) -> Policy:
    """Return the policy in a parsed YAML document. Raises ConfigError naming the key."""
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise _wrong(where, "a mapping is needed at the top")
    unknown = [str(key) for key in document if key not in _KEYS]
    if unknown:
        raise _wrong(where, f"{unknown[0]}: unknown key; there are {', '.join(_KEYS)}")
    policy = Policy(
        _truth(document, "require_signature", where),
        _text(document, "allowed_signers", where),
        _names(document, where),
        _truth(document, "refuse_older", where),
    )
    if not policy.allowed_signers and (policy.require_signature or policy.signers):
        raise _wrong(where, "allowed_signers is missing: the file that says whose key is whose")
    return policy


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError(what, where=where, fix=f"correct {where}; docs/guide/signatures.md lists its keys")


def _truth(document: dict[str, Any], key: str, where: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise _wrong(where, f"{key}: true or false is needed")
    return value


def _text(document: dict[str, Any], key: str, where: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str) or (key in document and not value):
        raise _wrong(where, f"{key}: a path is needed")
    return value


def _names(document: dict[str, Any], where: str) -> tuple[str, ...]:
    value = document.get("signers", [])
    good = isinstance(value, list) and all(isinstance(name, str) and name for name in value)
    if not good or ("signers" in document and not value):
        raise _wrong(where, "signers: a list of names is needed")
    return tuple(value)
