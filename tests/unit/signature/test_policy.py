from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError
from kit.signature.policy import Policy, parse_policy


def test_a_whole_policy() -> None:
    document = {
        "require_signature": True,
        "allowed_signers": "signers",
        "signers": ["alice", "bob"],
        "refuse_older": True,
    }
    assert parse_policy(document, "x") == Policy(True, "signers", ("alice", "bob"), True)  # noqa: FBT003


@pytest.mark.parametrize("document", [None, {}])
def test_an_empty_policy_demands_nothing(document: Any) -> None:
    assert parse_policy(document, "x") == Policy()


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ([], "mapping"),
        ({"require_signatures": True}, "require_signatures: unknown key"),
        ({"require_signature": "yes", "allowed_signers": "x"}, "require_signature: true or false"),
        ({"refuse_older": 1}, "refuse_older: true or false"),
        ({"allowed_signers": ""}, "allowed_signers: a path"),
        ({"allowed_signers": ["x"]}, "allowed_signers: a path"),
        ({"allowed_signers": "x", "signers": "alice"}, "signers: a list"),
        ({"allowed_signers": "x", "signers": []}, "signers: a list"),
        ({"allowed_signers": "x", "signers": [1]}, "signers: a list"),
        ({"require_signature": True}, "allowed_signers is missing"),
        ({"signers": ["alice"]}, "allowed_signers is missing"),
    ],
)
def test_anything_else_is_refused_by_its_key(document: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse_policy(document, "trust.yaml")
