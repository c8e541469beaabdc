"""Laws of what hosts answer, whatever it is:

- what a script answers becomes values in bounds, or a KitError;
- what an agent says becomes a result or a KitError of a kind that a host may cause;
- a ship to hosts whose agents say anything ends in a KitError, and writes nothing on this machine;
- nothing of it reaches a terminal but as text.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bundle.source import BundleSource
from kit.cli.failure import report_failure
from kit.cli.host_events import HostEvents
from kit.cli.host_lines import HostLines
from kit.errors import KitError
from kit.host.agent import call_agent
from kit.host.answers import marked_lines
from kit.host.parse_facts import parse_facts
from kit.ship.have import parse_have
from kit.ship.ship import ship_bundle
from tests.unit.host.factories import host_facts, host_spec
from tests.unit.host.test_agent import AgentHost
from tests.unit.host.test_gather import ANSWER
from tests.unit.ship.factories import WANTED, ship_bundle_source
from tests.unit.ship.lying_host import LyingHost

pytestmark = pytest.mark.property

T = TypeVar("T")
KEYS = [line.partition(" ")[0] for line in ANSWER.splitlines() if line.startswith("kit:")]
HOSTILE = st.one_of(
    st.sampled_from(
        ["9" * 5000, "-1", "$(reboot)", "`reboot`", "../..", "\x1b]0;x\x07", "[" * 3000, "1e999", "NaN"]
    ),
    st.text(max_size=200),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), HOSTILE),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(HOSTILE, inner, max_size=4)),
    max_leaves=12,
)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "event": VALUES,
        "blobs": VALUES,
        "result": VALUES,
        "error": st.one_of(
            VALUES,
            st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("what", "where", "why", "fix", "exit_code"), VALUES)
            ),
        ),
    },
)
TERMINAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def outcome(work: Callable[[], T]) -> T | KitError:
    """What came of it."""
    try:
        return work()
    except KitError as error:
        return error


@given(st.lists(st.tuples(st.sampled_from(KEYS), HOSTILE)))
def test_facts_are_values_in_bounds_or_refused(lines: list[tuple[str, str]]) -> None:
    changed = "".join(f"{key} {value}\n" for key, value in lines)
    for text in (changed, ANSWER + changed, changed + ANSWER):
        answer = text.encode("utf-8", "replace")
        facts = outcome(lambda: parse_facts("gpu1", "/r", marked_lines("gpu1", answer), 0.0))  # noqa: B023
        if isinstance(facts, KitError):
            assert facts.exit_code in (4, 6)
            continue
        assert 0 <= facts.free_bytes < 10**22
        assert 0 <= facts.uid < 10**18
        assert facts.docker in (("docker",), ("sudo", "-n", "docker"))
        assert re.fullmatch(r"[\w.@\\$-]*", facts.user)
        assert len(facts.engine_error) <= 400


@given(
    st.binary(max_size=2000),
    st.lists(st.tuples(st.sampled_from(["blob", "partial", "stored", "frames"]), HOSTILE)),
)
def test_lists_hold_digests_and_sizes_alone(noise: bytes, lines: list[tuple[str, str]]) -> None:
    text = noise + b"\n" + "".join(f"kit:{key} {value}\n" for key, value in lines).encode("utf-8", "replace")
    have = parse_have(marked_lines("gpu1", text))
    for digest in (*have.blobs, *have.partial, *have.indexes):
        assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    assert all(0 <= size < 10**18 for size in (*have.blobs.values(), *have.partial.values()))


@given(st.lists(st.one_of(SAID, VALUES), max_size=5))
def test_an_agents_words_end_in_a_result_or_in_an_error_of_a_kind(lines: list[Any]) -> None:
    heard: list[Any] = []
    host = AgentHost(*(json.dumps(line).encode("utf-8", "replace") for line in lines))
    facts = host_facts()
    result = outcome(lambda: call_agent(host, facts, "kit.invalid/kit:1", "ship", {}, on_event=heard.append))
    if isinstance(result, KitError):
        assert result.exit_code in range(1, 9)
        assert len(str(result)) < 20_000
    assert all(isinstance(event, dict) for event in heard)


@given(HOSTILE, HOSTILE)
def test_nothing_that_a_host_says_moves_a_terminal(what: str, why: str) -> None:
    stream = io.StringIO()
    for view in (HostLines(stream), HostEvents(stream)):
        view.phase("gpu1", "load", text=what)
        view.phase("gpu1", "failed", text=why)
        view.note(what)
    assert not TERMINAL.search(stream.getvalue())


@given(HOSTILE, HOSTILE)
def test_no_error_of_a_host_moves_a_terminal(what: str, why: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        report_failure(KitError(what, where="gpu1", why=why), as_json=True)
    assert not TERMINAL.search(out.getvalue() + err.getvalue())
    json.loads(out.getvalue())


KINDS = (
    *("accepted", "need", "proven", "phase", "loading", "loaded", "placing"),
    *("listening", "passing", "successor_lost", "predecessor_lost", "whole", "lingers"),
)
KEYS_OF_EVENTS = (
    *("round", "blobs", "digest", "phase", "image", "tree"),
    *("port", "gives", "lacks", "came", "given", "name", "why", "connected"),
)
EVENTS = st.builds(
    lambda kind, more: {"event": kind, **more},
    st.one_of(st.sampled_from(KINDS), VALUES),
    st.dictionaries(st.sampled_from(KEYS_OF_EVENTS), VALUES, max_size=3),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> BundleSource:
    return ship_bundle_source(tmp_path_factory.mktemp("bundle"))


@settings(deadline=None, max_examples=60)
@given(says=st.lists(st.one_of(EVENTS, SAID), max_size=8))
def test_a_ship_to_a_liar_ends_in_an_error_of_a_kind(source: BundleSource, says: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host = LyingHost(Path(folder) / "gpu1", source.manifest, says=says)
        specs = {"gpu1": host_spec(root=str(host.root))}
        stream = io.StringIO()
        result = outcome(
            lambda: ship_bundle(source, {"gpu1": host}, specs, {"gpu1": WANTED}, HostEvents(stream))
        )
        assert isinstance(result, KitError)
        assert result.exit_code in range(1, 9)
        assert not TERMINAL.search(stream.getvalue())
        assert {path.name for path in Path(folder).iterdir()} <= {"gpu1"}
