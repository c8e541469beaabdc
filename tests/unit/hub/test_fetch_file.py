from __future__ import annotations

from pathlib import Path

import pytest

from kit.bundle.digest import blob_of
from kit.errors import TransferError, UnreachableError, VerificationError
from kit.hub.fetch_file import Fetch, fetch_file
from kit.hub.hub_cache import HubCache
from kit.hub.port import HubFile, Passing, Place
from tests.hub_server.repository import git_sha1
from tests.unit.hub.fake_hub import COMMIT, HURRIED, FakeHub, Part

DATA = bytes(range(100))
FILE = HubFile("model.safetensors", len(DATA), blob_of(DATA).digest)
PLACE = Place("huggingface", "Owner/Tiny", COMMIT)
BUSY = UnreachableError("the hub is too busy for us (HTTP 429)", where="fake")


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def advance(self, count: int) -> None:
        self.count += count


def hub_with(*parts: Part | Passing) -> FakeHub:
    return FakeHub({FILE.path: DATA}, parts={FILE.path: list(parts)})


def fetched(folder: Path, hub: FakeHub, listener: Listener, file: HubFile = FILE) -> bytes:
    fetch = Fetch(hub, PLACE, HubCache.open(folder), listener.lines.append, listener.advance, HURRIED)
    blob = fetch_file(fetch, file)
    assert not list((folder / "partial").iterdir())
    return fetch.cache.place(blob.digest).read_bytes()


@pytest.mark.parametrize(
    ("parts", "offsets"),
    [
        ((), [0]),
        ((Part(DATA[:40], breaks=True),), [0, 40]),
        ((Part(DATA[:40]),), [0, 40]),
        ((Passing(BUSY, 7.0),), [0, 0]),
        ((Part(DATA[:40], breaks=True), Part(DATA, offset=0)), [0, 40]),
        ((Part(DATA[:40], breaks=True), Part(DATA[50:], offset=50)), [0, 40, 40]),
        ((Part(DATA[:99] + b"x"),), [0, 0]),
        ((Part(DATA + b"x"),), [0, 0]),
        ((Part(b"x", total=1),), [0, 0]),
    ],
    ids=["whole", "broken", "short", "busy", "no range", "other range", "wrong", "too long", "other size"],
)
def test_a_file_comes_whole_in_spite_of(
    tmp_path: Path, parts: tuple[Part | Passing, ...], offsets: list[int]
) -> None:
    hub, listener = hub_with(*parts), Listener()
    assert fetched(tmp_path, hub, listener) == DATA
    assert [offset for _, offset in hub.opened] == offsets
    assert listener.count == len(DATA)
    assert len(listener.lines) == len(offsets) - 1


def test_what_an_earlier_run_left_is_not_asked_for_again(tmp_path: Path) -> None:
    cache = HubCache.open(tmp_path)
    partial = cache.partial(PLACE, FILE)
    partial.parent.mkdir()
    partial.write_bytes(DATA[:70])
    hub, listener = hub_with(), Listener()
    assert fetched(tmp_path, hub, listener) == DATA
    assert hub.opened == [(FILE.path, 70)]
    assert listener.count == len(DATA)


def test_a_partial_file_with_other_bytes_is_noticed_and_fetched_anew(tmp_path: Path) -> None:
    partial = HubCache.open(tmp_path).partial(PLACE, FILE)
    partial.parent.mkdir()
    partial.write_bytes(b"?" * 70)
    hub = hub_with()
    assert fetched(tmp_path, hub, Listener()) == DATA
    assert hub.opened == [(FILE.path, 70), (FILE.path, 0)]


@pytest.mark.parametrize("left", [DATA, DATA + b"more"])
def test_a_partial_file_that_is_complete_or_longer_costs_at_most_one_download(
    tmp_path: Path, left: bytes
) -> None:
    partial = HubCache.open(tmp_path).partial(PLACE, FILE)
    partial.parent.mkdir()
    partial.write_bytes(left)
    hub = hub_with()
    assert fetched(tmp_path, hub, Listener()) == DATA
    assert len(hub.opened) == (left != DATA)


def test_without_any_checksum_nothing_is_taken_up(tmp_path: Path) -> None:
    file = HubFile(FILE.path, FILE.size, None)
    partial = HubCache.open(tmp_path).partial(PLACE, file)
    partial.parent.mkdir()
    partial.write_bytes(DATA[:70])
    hub = hub_with()
    assert fetched(tmp_path, hub, Listener(), file) == DATA
    assert hub.opened == [(FILE.path, 0)]


def test_bytes_that_stay_wrong_are_refused_naming_hub_file_expected_and_got(tmp_path: Path) -> None:
    wrong = DATA[:99] + b"x"
    with pytest.raises(VerificationError) as caught:
        fetched(tmp_path, hub_with(Part(wrong), Part(wrong)), Listener())
    text = str(caught.value)
    assert all(
        part in text for part in (FILE.path, str(PLACE), str(FILE.digest), blob_of(wrong).digest, "twice")
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_small_file_is_held_against_the_name_that_git_gives_it(tmp_path: Path) -> None:
    file = HubFile(FILE.path, FILE.size, None, git_sha1(DATA))
    assert fetched(tmp_path, hub_with(), Listener(), file) == DATA
    again = hub_with()
    assert fetched(tmp_path, again, Listener(), file) == DATA
    assert again.opened == []
    wrong = Part(DATA[:99] + b"x")
    with pytest.raises(VerificationError, match="git object"):
        fetched(tmp_path / "other", hub_with(wrong, wrong), Listener(), file)


def test_trying_again_ends_with_the_failures_own_error(tmp_path: Path) -> None:
    hub = hub_with(*(Passing(BUSY) for _ in range(5)))
    with pytest.raises(UnreachableError, match=r"429.*\(tried 3 times\)"):
        fetched(tmp_path, hub, Listener())
    assert len(hub.opened) == 3


def test_a_server_that_asks_for_hours_is_not_waited_for(tmp_path: Path) -> None:
    hub = hub_with(Passing(BUSY, 7200.0))
    with pytest.raises(UnreachableError, match="asks to wait 7200 s"):
        fetched(tmp_path, hub, Listener())
    assert len(hub.opened) == 1


def test_what_came_before_the_line_went_dead_stays(tmp_path: Path) -> None:
    dead = [Part(DATA[:10], breaks=True), *(Part(b"", breaks=True) for _ in range(3))]
    with pytest.raises(TransferError, match="broke"):
        fetched(tmp_path, hub_with(*dead), Listener())
    hub = hub_with()
    assert fetched(tmp_path, hub, Listener()) == DATA
    assert hub.opened == [(FILE.path, 10)]


def test_an_empty_file_needs_no_request(tmp_path: Path) -> None:
    hub = hub_with()
    assert fetched(tmp_path, hub, Listener(), HubFile("empty", 0, blob_of(b"").digest)) == b""
    assert hub.opened == []
