"""Laws of training data, for arbitrary records.

- Another form of a record says the same, and back again; nothing of the other columns is lost.
- JSON and JSONL hold the same records.
- A split loses and doubles nothing. What was deduped stays as it is.
- Bytes of any kind are judged, never a crash; a good file with one broken line has that one fault.
- The parts of a file, wherever it is cut, hold what the whole holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.dataset.check import Wanted, check_file
from kit.dataset.convert import convert
from kit.dataset.dedupe import dedupe
from kit.dataset.layout import look_at
from kit.dataset.read import Reader
from kit.dataset.records import cuts, line_chunks, read_records
from kit.dataset.split import split
from kit.dataset.turns import Talk
from kit.errors import ConfigError
from kit.progress import NoProgress

pytestmark = pytest.mark.property

FILES = settings(max_examples=40, deadline=None)
"""Each example writes files, and waits for the disk."""
QUIET = NoProgress()
ONE = Wanted(workers=1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts | st.lists(st.integers(), max_size=3)
)
NO = st.sampled_from((False,))
"""An empty answer cannot be a good one."""
pairs = st.lists(st.lists(texts, min_size=2, max_size=2), max_size=3)


@st.composite
def alpaca(draw: st.DrawFn) -> list[dict[str, Any]]:
    columns: dict[str, Any] = {"instruction": texts, "input": texts, "output": texts}
    columns |= draw(st.sampled_from(({}, {"chosen": texts, "rejected": texts}, {"label": NO})))
    columns |= draw(st.sampled_from(({}, {"history": pairs}, {"system": texts}, {"tools": st.just("[]")})))
    return draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=6))


@st.composite
def sharegpt(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for _ in range(draw(st.integers(1, 5))):
        talk = [{"from": "system", "value": draw(texts)}] if draw(st.booleans()) else []
        for _ in range(draw(st.integers(1, 3))):
            talk += [{"from": "human", "value": draw(texts)}, {"from": "gpt", "value": draw(texts)}]
        found.append({"conversations": talk})
    return found


@contextmanager
def written(records: list[Any], name: str = "a.jsonl") -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        whole = json.dumps(records, ensure_ascii=False, indent=1)
        each = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
        path.write_text(whole if path.suffix == ".json" else each, encoding="utf-8", newline="")
        yield path


def talks(path: Path) -> list[Talk]:
    return [talk for _, talk in Reader(path, ONE).good_entries(QUIET, "")]


def said(talk: Talk) -> tuple[Any, ...]:
    return talk.turns, talk.answers, talk.system, talk.tools, talk.good


def raws(path: Path) -> list[Any]:
    return [json.loads(raw) for _, raw in read_records(look_at(path))]


@FILES
@given(alpaca() | sharegpt(), values, st.sampled_from(("a.json", "a.jsonl")))
def test_every_form_says_the_same(records: list[dict[str, Any]], extra: Any, name: str) -> None:
    marked = [record | {"extra": extra} for record in records]
    with written(marked, name) as source:
        path = source
        before = [said(talk) for talk in talks(path)]
        for number, shape in enumerate(("openai", "sharegpt", "alpaca", "sharegpt", "openai", "alpaca")):
            new = path.with_name(f"{number}.json{'l' * (number % 2)}")
            result = convert(path, new, shape, ONE, QUIET)
            assert [said(talk) for talk in talks(new)] == before
            assert [record["extra"] for record in raws(new)] == [extra] * len(records)
            report = check_file(new, ONE, QUIET)
            assert (report.is_good, report.entry) == (True, result.entry)
            path = new


@FILES
@given(alpaca() | sharegpt(), st.integers(0, 3))
def test_a_split_loses_and_doubles_nothing(records: list[dict[str, Any]], seed: int) -> None:
    marked = [record | {"id": number} for number, record in enumerate([*records, *records])]
    with written(marked) as path:
        parts = split(path, path.parent, "0.5", seed, QUIET)
        both = raws(parts.train) + raws(parts.eval)
        assert sorted(both, key=lambda one: one["id"]) == marked


@FILES
@given(alpaca() | sharegpt())
def test_what_was_deduped_stays(records: list[dict[str, Any]]) -> None:
    with written([*records, *records]) as path:
        once = dedupe(path, path.with_name("b.jsonl"), ONE, QUIET)
        assert once.kept <= len(records)
        again = dedupe(once.path, path.with_name("c.jsonl"), ONE, QUIET)
        assert again.doubles == ()
        assert once.path.read_bytes() == again.path.read_bytes()


@FILES
@given(st.binary(max_size=200), st.sampled_from((b"", b"[", b'{"instruction": "q", "output": "a"}\n')))
def test_any_bytes_are_judged(data: bytes, head: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(head + data)
        try:
            report = check_file(path, ONE, QUIET)
        except ConfigError:
            return
        assert report.faulty == sum(report.codes.values())


@FILES
@given(alpaca(), st.data())
def test_one_broken_line_is_one_fault(records: list[dict[str, Any]], data: st.DataObject) -> None:
    many = [*records, *records, *records]
    with written(many) as path:
        lines = path.read_bytes().split(b"\n")[:-1]
        bad = data.draw(st.integers(0, len(lines) - 1))
        lines[bad] = lines[bad][: data.draw(st.integers(1, len(lines[bad]) - 1))]
        path.write_bytes(b"\n".join(lines))
        report = check_file(path, ONE, QUIET)
        assert [(fault.line, fault.code) for fault in report.faults] == [(bad + 1, "json")]
        assert report.records == len(many)


@FILES
@given(
    st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")), max_size=20), st.integers(1, 80)
)
def test_parts_hold_what_the_whole_holds(lines: list[bytes], length: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(b"{}\n" + b"\n".join(lines))
        layout = look_at(path)
        places = cuts(layout, length)
        whole = b"".join(line_chunks(path, layout.start, layout.size))
        parts = [b"".join(line_chunks(path, *part)) for part in pairwise(places)]
        assert b"".join(parts) == whole
        assert all(part.endswith(b"\n") for part in parts[:-1])
