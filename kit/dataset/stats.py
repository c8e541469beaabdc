"""Measuring a file: records, turns, empty answers, lengths in characters and in the model's own tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from kit.dataset.lengths import Lengths, cutoff_for, describe, longer_than
from kit.dataset.read import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kit.dataset.check import Wanted
    from kit.dataset.model_tokens import TokenCounter
    from kit.dataset.turns import Talk
    from kit.progress import Progress

TURN_TOKENS = 5
"""What ChatML and Llama 3 put around a message: its role and two or three marks."""
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A cutoff_len, and what it would cut."""

    share: str
    """Of the records that stay whole: `p95`, `p99` or `all`."""
    cutoff_len: int
    cut: int
    """Records that are longer."""


@dataclass(frozen=True, slots=True)
class FileStats:
    """What a file is made of."""

    path: Path
    form: str
    records: int
    broken: int
    """Records that `kit dataset check` would name; they are in no other figure."""
    roles: Mapping[str, int]
    """Who speaks → messages."""
    turns: Lengths | None
    """Messages a record."""
    empty_prompts: int
    """Records whose last question is empty."""
    empty_answers: int
    """Records whose answer (one of two, for preference) is empty."""
    characters: Lengths | None
    """Of a record, all messages together."""
    tokens: Lengths | None
    """The same in tokens, with 5 a message for the template; of preference, with the longer answer."""
    cutoffs: tuple[Cutoff, ...]


@dataclass(slots=True)
class _Counts:
    broken: int = 0
    records: int = 0
    empty_prompts: int = 0
    empty_answers: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    turns: Counter[int] = field(default_factory=Counter)
    characters: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)

    def add(self, talk: Talk, *, has_answer: bool) -> None:
        said = (*talk.turns, *talk.answers)
        self.roles.update(role for role, _ in said)
        self.roles["system"] += bool(talk.system)
        self.turns[len(talk.turns) + bool(talk.answers)] += 1
        self.characters[sum(map(len, talk.texts))] += 1
        answers = talk.answers or (talk.turns[-1:] if has_answer else ())
        asked = talk.turns if talk.answers or not has_answer else talk.turns[:-1]
        self.empty_answers += any(not text.strip() for _, text in answers)
        self.empty_prompts += not asked[-1][1].strip()


def measure(path: Path, wanted: Wanted, count: TokenCounter | None, progress: Progress) -> FileStats:
    """Return what a file is made of. Raises ConfigError when it cannot be read or no form fits it."""
    reader = Reader(path, wanted)
    counts = _Counts()
    talks = _talks(reader, counts, progress)
    while batch := list(islice(talks, _BATCH)):
        for talk in batch:
            counts.add(talk, has_answer=not reader.form.is_text)
        if count:
            counts.tokens.update(_token_lengths(batch, count))
    return FileStats(
        path=path,
        form=reader.form.name,
        records=counts.records,
        broken=counts.broken,
        roles=dict(+counts.roles),
        turns=describe(counts.turns),
        empty_prompts=counts.empty_prompts,
        empty_answers=counts.empty_answers,
        characters=describe(counts.characters),
        tokens=describe(counts.tokens),
        cutoffs=_cutoffs(counts.tokens),
    )


def _talks(reader: Reader, counts: _Counts, progress: Progress) -> Iterator[Talk]:
    for entry in reader.entries(progress, f"measure {reader.path.name}"):
        counts.records += 1
        if entry.talk is None:
            counts.broken += 1
        else:
            yield entry.talk


def _token_lengths(batch: list[Talk], count: TokenCounter) -> Iterator[int]:
    texts = [talk.texts for talk in batch]
    found = iter(count([text for some in texts for text in some]))
    for talk, some in zip(batch, texts, strict=True):
        lengths = [next(found) for _ in some]
        if talk.answers:
            # One answer at a time is trained on; the shorter of the two does not count.
            lengths.remove(min(lengths[-2:]))
        yield sum(lengths) + TURN_TOKENS * len(lengths)


def _cutoffs(tokens: Counter[int]) -> tuple[Cutoff, ...]:
    found = describe(tokens)
    if found is None:
        return ()
    wanted = (("p95", found.p95), ("p99", found.p99), ("all", found.largest))
    return tuple(
        Cutoff(share, cutoff_for(length), longer_than(tokens, cutoff_for(length))) for share, length in wanted
    )
