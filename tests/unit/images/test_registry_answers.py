from __future__ import annotations

import pytest

from kit.errors import VerificationError
from kit.images.registry_answers import Challenge, parse_challenges, parse_token

BEARER = Challenge("bearer", "https://auth.example/token", "registry.example", "repository:a/b:pull")


@pytest.mark.parametrize(
    "header",
    [
        'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull"',
        'bearer Realm="https://auth.example/token", service=registry.example, scope="repository:a/b:pull"',
        (
            'Basic realm="x", Bearer realm="https://auth.example/token",service="registry.example",'
            'scope="repository:a/b:pull"'
        ),
    ],
)
def test_a_challenge_is_read_and_bearer_comes_first(header: str) -> None:
    assert parse_challenges((header,))[0] == BEARER


def test_quoted_commas_and_escapes_belong_to_the_value() -> None:
    (found,) = parse_challenges((r'Basic realm="a, \"b\""',))
    assert (found.scheme, found.realm) == ("basic", 'a, "b"')


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", "Bearer" * 1000, 'Bearer realm="'])
def test_what_kit_cannot_answer_is_passed_over(header: str) -> None:
    assert all(challenge.realm == "" for challenge in parse_challenges((header,)))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"token": 3}', b'{"token": "a\\r\\nHost: x"}'])
def test_what_is_no_token_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_token(data, "registry.example")
