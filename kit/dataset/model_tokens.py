"""Counting tokens with a model's own tokenizer.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    TokenCounter = Callable[[Sequence[str]], list[int]]
    """Takes texts, returns how many tokens each has."""


def token_counter(model: Path) -> TokenCounter:
    """Return what counts a text's tokens as the model in this folder does, without special ones added.

    Raises ConfigError when the package `tokenizers` or the model's tokenizer.json is not there.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigError(
            "the package tokenizers is not installed",
            where="--model",
            fix="pip install 'airgap-kit[tokenizer]'",
        ) from error
    path = model / "tokenizer.json" if model.is_dir() else model
    if not path.is_file():
        raise ConfigError(
            "no tokenizer.json there",
            where=str(model),
            fix="--model FOLDER, the folder with the model's files",
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # The package raises a bare Exception for whatever is wrong with the file.
    except Exception as error:
        raise ConfigError("cannot be read", where=str(path), why=str(error)) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        return [len(found.ids) for found in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    return count
