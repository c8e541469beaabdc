from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.dataset.check import Wanted
from kit.dataset.lengths import cutoff_for, describe
from kit.dataset.model_tokens import token_counter
from kit.dataset.stats import TURN_TOKENS, FileStats, measure
from kit.errors import ConfigError
from kit.progress import NoProgress
from tests.unit.dataset.written import SHAREGPT, lines


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def measured(path: Path, *, tokens: bool = True) -> FileStats:
    return measure(path, Wanted(), words if tokens else None, NoProgress())


def test_a_file_is_measured(tmp_path: Path) -> None:
    records = [{"instruction": "a b", "input": "c", "output": "d " * n} for n in range(100)]
    stats = measured(lines(tmp_path / "a.jsonl", [*records, {"instruction": "x"}]))
    assert (stats.records, stats.broken, stats.empty_answers, stats.empty_prompts) == (101, 1, 1, 0)
    assert stats.roles == {"user": 100, "assistant": 100}
    assert stats.turns
    assert (stats.turns.count, stats.turns.smallest, stats.turns.largest) == (100, 2, 2)
    assert stats.tokens
    fixed = 3 + 2 * TURN_TOKENS
    assert (stats.tokens.smallest, stats.tokens.median, stats.tokens.p99) == (fixed, 49 + fixed, 98 + fixed)
    assert stats.characters
    assert stats.characters.largest == len("a b\nc") + 2 * 99
    assert [(one.share, one.cutoff_len, one.cut) for one in stats.cutoffs] == [
        ("p95", 128, 0),
        ("p99", 128, 0),
        ("all", 128, 0),
    ]


def test_of_a_pair_the_longer_answer_counts(tmp_path: Path) -> None:
    pair = {"instruction": "a", "input": "", "chosen": "b", "rejected": "c c c"}
    stats = measured(lines(tmp_path / "a.jsonl", [pair]))
    assert stats.tokens
    assert stats.tokens.largest == 4 + 2 * TURN_TOKENS
    assert stats.roles == {"user": 1, "assistant": 2}


def test_text_and_conversations_are_measured_too(tmp_path: Path) -> None:
    stats = measured(lines(tmp_path / "a.jsonl", [{"text": "a b c"}]), tokens=False)
    assert (stats.form, stats.roles, stats.tokens, stats.cutoffs) == ("text", {"user": 1}, None, ())
    system = {"from": "system", "value": "s"}
    talk = {"conversations": [system, *SHAREGPT["conversations"]]}
    assert measured(lines(tmp_path / "b.jsonl", [talk])).roles == {"user": 1, "assistant": 1, "system": 1}


def test_the_histogram_holds_everything_once() -> None:
    found = describe(Counter({3: 2, 100: 1, 41: 5}))
    assert found
    assert sum(count for _, _, count in found.histogram) == 8
    assert (found.histogram[0][0], found.histogram[-1][1] >= 100, len(found.histogram) <= 12) == (
        3,
        True,
        True,
    )
    assert describe(Counter()) is None
    assert [cutoff_for(length) for length in (0, 1, 128, 129)] == [128, 128, 128, 256]


def test_tokens_are_counted_as_the_model_counts_them(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {"[UNK]": 0, "one": 1, "two": 2}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(1)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert token_counter(tmp_path)(["one two three", ""]) == [3, 0]


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        token_counter(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        token_counter(tmp_path)
