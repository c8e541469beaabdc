"""Hosts that lie to a ship are refused by name; nothing of what they say does anything on the sender."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.frame_index import Frame
from kit.bundle.manifest import Blob
from kit.bundle.source import BundleSource
from kit.errors import KitError, TransferError, VerificationError
from kit.progress import NoProgress
from kit.ship.framed import framed
from kit.ship.needed_frames import MOST_ROUNDS, MOST_TIMES, Asked
from kit.ship.parse_receipt import check_receipt
from kit.ship.plan import HostPlan
from kit.ship.ship import ship_bundle
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import WANTED, host_plan, ship_bundle_source
from tests.unit.ship.lying_host import LyingHost

ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e"


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


@pytest.fixture
def weights(source: BundleSource) -> str:
    """The digest of a blob that is offered."""
    tree = source.manifest.tree("model", "tiny")
    assert tree is not None
    return tree.files[0].digest


def ship(source: BundleSource, folder: Path, says: Iterable[Any]) -> Any:
    host = LyingHost(folder / "gpu1", source.manifest, says=says)
    (folder / "gpu1").mkdir()
    host.engine.offer(*source.manifest.images[:1])
    specs = {"gpu1": host_spec(root=str(host.root))}
    return ship_bundle(source, {"gpu1": host}, specs, {"gpu1": WANTED}, NoProgress())


def needing(blobs: Any) -> list[Any]:
    return [{"event": "accepted"}, {"event": "need", "round": 0, "blobs": blobs}]


@pytest.mark.parametrize(
    "blobs",
    [
        lambda _: {"sha256:" + "f" * 64: [[0, 1]]},
        lambda _: {"../../etc/passwd": [[0, 1]]},
        lambda digest: {digest: [[0, 10**9]]},
        lambda digest: {digest: [[-1, 1]]},
        lambda digest: {digest: [[0, 10**30]]},
        lambda digest: {digest: [[0, 1], [0, 1]]},
        lambda digest: {digest: [[1, 0]]},
        lambda digest: {digest: [[0, True]]},
        lambda digest: {digest: [[0.0, 1.0]]},
        lambda digest: {digest: "ab"},
        lambda digest: {digest: 5},
        lambda digest: [digest],
        lambda _: None,
        lambda _: ESCAPES,
    ],
)
def test_an_agent_that_asks_for_what_it_was_not_offered_is_refused(
    source: BundleSource, tmp_path: Path, weights: str, blobs: Callable[[str], Any]
) -> None:
    with pytest.raises(TransferError) as caught:
        ship(source, tmp_path, needing(blobs(weights)))
    assert "not offered" in caught.value.what
    assert caught.value.where == "gpu1"


@pytest.mark.parametrize(
    "line",
    [b"", b"hello\x1b[31m", b"[]", b"5", b"[" * 100_000, b'{"a":', b"\xff\xfe", b"9" * 5000],
    ids=["nothing", "words", "list", "number", "deep", "cut", "bytes", "digits"],
)
def test_an_agent_that_speaks_no_json_is_refused(source: BundleSource, tmp_path: Path, line: bytes) -> None:
    with pytest.raises(TransferError, match="not kit's agent"):
        ship(source, tmp_path, [line])


def test_an_agent_that_never_has_enough_is_refused(
    source: BundleSource, tmp_path: Path, weights: str
) -> None:
    accepted, need = needing({weights: [[0, 1]]})
    needs = itertools.chain([accepted], itertools.repeat(need, 5000))
    with pytest.raises(TransferError, match="again and again"):
        ship(source, tmp_path, needs)


def test_an_agent_that_asks_for_nothing_without_end_is_refused(source: BundleSource, tmp_path: Path) -> None:
    accepted, need = needing({})
    with pytest.raises(TransferError, match="again and again"):
        ship(source, tmp_path, itertools.chain([accepted], itertools.repeat(need, 5000)))


def test_events_that_are_none_are_passed_over(source: BundleSource, tmp_path: Path) -> None:
    kinds: list[Any] = [None, 5, [], {}, "phase", "loading", "placing", "nonsense", ESCAPES]
    phases: list[Any] = [None, 5, [], {"a": 1}, "done", "failed", ESCAPES]
    odd = [{"event": kind} for kind in kinds]
    odd += [{"event": "phase", "phase": value} for value in phases]
    with pytest.raises(KitError) as caught:
        ship(source, tmp_path, [*odd, {"error": {"what": "enough", "exit_code": 6}}])
    assert caught.value.what == "enough"


def test_an_agent_that_tells_of_more_than_there_is_to_tell_is_refused(
    source: BundleSource, tmp_path: Path
) -> None:
    phases = itertools.cycle({"event": "phase", "phase": phase} for phase in ("load", "send"))
    with pytest.raises(TransferError, match="talks without end"):
        ship(source, tmp_path, phases)


def test_an_agent_that_goes_on_without_end_is_cut_off(
    source: BundleSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.host.agent.ANSWER_LIMIT", 1 << 20)
    with pytest.raises(TransferError, match="not kit's agent"):
        ship(source, tmp_path, itertools.repeat({"event": "phase", "phase": "load"}))


@pytest.mark.parametrize("code", [None, 0, 1, 99, -1, "6", [], {}, 6.0, True, 10**40])
def test_an_error_with_an_odd_code_is_an_error_all_the_same(
    source: BundleSource, tmp_path: Path, code: Any
) -> None:
    with pytest.raises(KitError):
        ship(source, tmp_path, [{"error": {"what": ["x"], "where": 5, "why": None, "exit_code": code}}])


def good_result(source: BundleSource, plan: HostPlan) -> dict[str, Any]:
    return {
        "bundle": blob_of(source.manifest_bytes).digest,
        "images": [[image.identity_tag, image.config.digest] for image in plan.images],
        "loaded": [plan.kit.identity_tag],
        "trees": [f"{tree.kind}s/{tree.name}" for tree in plan.trees],
        "files": sum(len(tree.files) for tree in plan.trees),
        "file_bytes": sum(file.size for tree in plan.trees for file in tree.files),
    }


def test_a_receipt_for_what_was_shipped_is_believed(source: BundleSource) -> None:
    plan = host_plan(source.manifest)
    check_receipt(good_result(source, plan), plan, blob_of(source.manifest_bytes).digest)


@pytest.mark.parametrize(
    "change",
    [
        {"bundle": "sha256:" + "0" * 64},
        {"bundle": ESCAPES},
        {"images": []},
        {"images": [["kit.invalid/kit:1", "sha256:0"], ["kit.invalid/train:1", "sha256:0"]]},
        {"loaded": ["alpine:latest"]},
        {"trees": []},
        {"trees": ["models/tiny", "../../root"]},
        {"files": 10**30},
        {"files": float("inf")},
        {"file_bytes": -1},
        {"file_bytes": True},
    ],
)
def test_a_receipt_for_something_else_is_refused(source: BundleSource, change: dict[str, Any]) -> None:
    plan = host_plan(source.manifest)
    with pytest.raises(VerificationError, match="receipt"):
        check_receipt(good_result(source, plan) | change, plan, blob_of(source.manifest_bytes).digest)


@pytest.mark.parametrize("key", ["bundle", "images", "loaded", "trees", "files"])
@pytest.mark.parametrize("value", [5, None, [5], [[1, 2, 3]]])
def test_a_receipt_that_is_none_is_refused(source: BundleSource, key: str, value: Any) -> None:
    plan = host_plan(source.manifest)
    with pytest.raises((TransferError, VerificationError), match="receipt"):
        check_receipt(good_result(source, plan) | {key: value}, plan, blob_of(source.manifest_bytes).digest)


def test_what_is_lost_may_be_asked_for_again_a_few_times() -> None:
    blob = framed(Blob("sha256:" + "a" * 64, 10), (Frame(10, 10, b"1" * 32, b"1" * 32),))
    asked = Asked("gpu1")
    need, blobs = {blob.blob.digest: ((0, 1),)}, {blob.blob.digest: blob}
    assert [asked.count(need, blobs) for _ in range(MOST_TIMES)] == [10] * MOST_TIMES
    with pytest.raises(TransferError, match="again and again"):
        asked.count(need, blobs)


def test_rounds_that_ask_for_nothing_end_too() -> None:
    asked = Asked("gpu1")
    for _ in range(MOST_ROUNDS):
        asked.turn()
    with pytest.raises(TransferError, match="again and again"):
        asked.turn()
