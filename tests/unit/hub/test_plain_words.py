from __future__ import annotations

import pytest

from kit.errors import ConfigError
from kit.hub.plain_words import check_mirror, plain_words, token_from

TOKEN = "hf_secret"


@pytest.mark.parametrize(
    "text",
    [
        f"401 for {TOKEN}",
        f"header Authorization: Bearer {TOKEN}.more",
        "GET https://store.example/file?X-Amz-Signature=hf_secret&x=1 failed",
        "no route to https://me:hf_secret@proxy.example:3128/",
        f"line one\nline two {TOKEN}",
        "x" * 190 + TOKEN,
    ],
)
def test_a_foreign_error_is_one_short_line_without_secrets(text: str) -> None:
    said = plain_words(RuntimeError(text), (TOKEN, None, ""))
    assert "hf_secr" not in said
    assert "\n" not in said
    assert len(said) < 250


def test_an_error_without_words_is_named() -> None:
    assert plain_words(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    "endpoint", ["hub.example", "file:///x", "https://", "https://u:p@x", "http://u@x/y"]
)
def test_a_mirror_that_is_no_address_or_holds_a_login_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"mirrors\.hub"):
        check_mirror(endpoint)


@pytest.mark.parametrize("endpoint", [None, "https://hub.example", "http://10.0.0.1:8080/hf/"])
def test_addresses_are_mirrors(endpoint: str | None) -> None:
    check_mirror(endpoint)


def test_a_token_comes_from_the_first_variable_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", " ")
    monkeypatch.setenv("B", " hf_b\n")
    assert token_from(("NOT_SET", "A", "B")) == "hf_b"
    assert token_from(("NOT_SET",)) is None


@pytest.mark.parametrize("token", ["hf_令牌", "hf a", "hf\x1b", "hf\nX-Header: y"])
def test_a_token_that_no_header_bears_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ConfigError, match="HF_TOKEN") as caught:
        token_from(("HF_TOKEN",))
    assert token not in str(caught.value)
