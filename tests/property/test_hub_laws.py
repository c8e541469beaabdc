"""Laws of fetching.

Whatever a hub delivers and whatever an earlier run left: what stands in the cache afterwards is
what was pinned, whole, or it is not there and a KitError says so; trying ends; the bytes told as
progress are the file's.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bundle.digest import blob_of
from kit.errors import ConfigError, KitError, UnreachableError
from kit.hub.fetch_file import Fetch, fetch_file
from kit.hub.hub_cache import HubCache
from kit.hub.pin import PICKLES, SAFE, Patterns, choose_paths
from kit.hub.plain_words import plain_words
from kit.hub.port import HubFile, Passing, Place
from tests.hub_server.repository import git_sha1
from tests.unit.hub.fake_hub import COMMIT, HURRIED, FakeHub, Part

pytestmark = pytest.mark.property
some = settings(max_examples=100, deadline=None)

PLACE = Place("huggingface", "Owner/Tiny", COMMIT)
BUSY = Passing(UnreachableError("busy", where="fake"))
contents = st.binary(max_size=24)
parts = st.builds(
    Part,
    contents,
    st.none() | st.integers(-1, 24),
    st.none() | st.integers(0, 24),
    st.booleans(),
)


@some
@given(
    contents,
    st.lists(parts | st.just(BUSY), max_size=8),
    st.none() | contents,
    st.sampled_from(["sha256", "git", "both"]),
)
def test_the_cache_holds_what_was_pinned_or_nothing(
    data: bytes, delivered: list[Part | Passing], left: bytes | None, known: str
) -> None:
    digest = blob_of(data).digest if known != "git" else None
    file = HubFile("f", len(data), digest, git_sha1(data) if known != "sha256" else None)
    hub = FakeHub({"f": data}, parts={"f": list(delivered)})
    counts: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        cache = HubCache.open(Path(name))
        if left is not None:
            partial = cache.partial(PLACE, file)
            partial.parent.mkdir()
            partial.write_bytes(left)
        done = False
        with suppress(KitError):
            assert fetch_file(Fetch(hub, PLACE, cache, lambda _: None, counts.append, HURRIED), file)
            done = True
        kept = [path.read_bytes() for path in (Path(name) / "sha256").glob("*")]
        assert kept == ([data] if done else [])
        assert not done or sum(counts) == len(data)
        assert len(hub.opened) <= len(delivered) + 2
        # The next run, against a hub that behaves, ends well whatever this one left.
        assert fetch_file(Fetch(FakeHub({"f": data}), PLACE, cache, lambda _: None), file) == blob_of(data)


names = st.lists(st.sampled_from(["a", "b", "config.json", "model"]), min_size=1, max_size=3)
endings = st.sampled_from([SAFE, *PICKLES, ".onnx", ".json", ".py", ".BIN"])
paths = st.builds(lambda parts, ending: "/".join(parts) + ending, names, endings)


@some
@given(st.sets(paths, min_size=1), st.sets(paths, max_size=2))
def test_no_pickle_comes_along_that_was_not_named(found: set[str], allowed: set[str]) -> None:
    with suppress(ConfigError):
        choice = choose_paths(found, Patterns(allow_pickle=tuple(allowed)), "models.x")
        assert not [path for path in choice.paths if path.lower().endswith(PICKLES) and path not in allowed]
        assert set(choice.paths) | set(choice.left_out) == found
        assert not choice.left_out or any(path.endswith(SAFE) for path in choice.paths)


@some
@given(st.text(max_size=300), st.text("abcdef0123456789_", min_size=8, max_size=40), st.text(max_size=300))
def test_no_token_is_told(before: str, token: str, after: str) -> None:
    said = plain_words(RuntimeError(before + token + after), (token,))
    assert token not in said
