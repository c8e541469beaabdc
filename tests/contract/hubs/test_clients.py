"""The hubs' own client libraries, and kit over them, against a hub on loopback that speaks their API."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import blob_of
from kit.errors import ConfigError, KitError, TransferError, UnreachableError, VerificationError
from tests.hub_server.faults import Cut, Fault, Longer, NoRange, Short, Slow, Status, Wrong, Zipped
from tests.hub_server.repository import COMMIT, NAME, OTHER_COMMIT
from tests.hub_server.scene import FILES, LARGE, SMALL, SOON, Scene

if TYPE_CHECKING:
    pass


def test_a_repository_is_pinned_and_fetched(scene: Scene) -> None:
    pin = scene.pin()
    assert {file.path: (file.size, file.digest) for file in pin.files} == {
        path: (len(data), blob_of(data).digest) for path, data in FILES.items()
    }
    assert pin.revision == (COMMIT if scene.origin == "huggingface" else "main")
    assert pin.asked == "main"
    scene.told.counts.clear()
    assert scene.fetch(pin) == FILES
    assert sum(scene.told.counts) == sum(map(len, FILES.values()))
    assert len(scene.told.counts) > len(FILES), "progress is told within a file"


def test_what_is_here_is_not_asked_for_again(scene: Scene) -> None:
    pin = scene.pin()
    scene.fetch(pin)
    scene.hub.seen.clear()
    assert scene.fetch(pin) == FILES
    assert scene.hub.seen == []


@pytest.mark.parametrize("name", [SMALL, LARGE])
@pytest.mark.parametrize(
    "fault",
    [
        Status(429, "0"),
        Status(500),
        Status(503, "Wed, 21 Oct 2015 07:28:00 GMT"),
        Cut(7),
        Cut(7, reset=True),
        Short(7),
        Wrong(),
        Longer(),
        Slow(7, silent=True),
        Zipped(),
    ],
    ids=repr,
)
def test_a_file_comes_whole_in_spite_of_one(scene: Scene, name: str, fault: Fault) -> None:
    pin = scene.pin()
    scene.hub.faults[name].append(fault)
    scene.hub.seen.clear()
    assert scene.fetch(pin) == FILES
    assert not scene.hub.faults[name], "the fault was met"
    again = len(scene.hub.asked(name)) > 1
    assert any(name in line and scene.origin in line for line in scene.told.lines) == again
    assert again == (not isinstance(fault, Zipped))


@pytest.mark.parametrize(
    "fault",
    [Cut(500_000), Cut(500_000, reset=True), Slow(500_000), Slow(500_000, silent=True)],
    ids=repr,
)
def test_a_cut_download_goes_on_where_it_was(scene: Scene, fault: Fault) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE].append(fault)
    scene.hub.seen.clear()
    assert scene.fetch(pin) == FILES
    starts = [seen.start for seen in scene.hub.asked(LARGE)]
    assert starts[0] == 0
    # A reset may throw away what was on its way.
    assert 0 < starts[-1] <= 500_100 or (isinstance(fault, Cut) and fault.reset)


def test_a_server_that_packs_what_nobody_asked_it_to_is_asked_for_the_whole(scene: Scene) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE] += [Cut(500_000), Zipped(), Zipped()]
    assert scene.fetch(pin) == FILES


def test_a_signed_address_that_ended_is_asked_for_anew(scene: Scene) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE] += [Cut(500_000), Status(403)]
    assert scene.fetch(pin) == FILES
    scene.hub.faults[SMALL] += [Status(403)]
    with pytest.raises(ConfigError, match=r"HF_TOKEN|MODELSCOPE_API_TOKEN"):
        replace(scene, folder=scene.folder / "other").fetch(pin)


def test_a_server_that_cannot_go_on_starts_over(scene: Scene) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE] += [Cut(500_000), NoRange()]
    assert scene.fetch(pin) == FILES


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Status(500), UnreachableError),
        (Status(429), UnreachableError),
        (Cut(0), TransferError),
        (Cut(0, reset=True), TransferError),
        (Slow(0, silent=True), TransferError),
        (Wrong(), VerificationError),
        (Short(7), VerificationError),
    ],
    ids=repr,
)
def test_what_does_not_pass_ends_in_bounds_naming_file_and_hub(
    scene: Scene, fault: Fault, error: type[KitError]
) -> None:
    pin, name = scene.pin(), LARGE
    scene.hub.faults[name] += [fault] * 9
    scene.hub.seen.clear()
    with pytest.raises(KitError) as caught:
        scene.fetch(pin)
    # A connection may die before its first byte or after it.
    assert isinstance(caught.value, (error, UnreachableError) if error is TransferError else error)
    assert name in str(caught.value)
    assert scene.origin in str(caught.value)
    assert len(scene.hub.asked(name)) <= SOON.attempts + 1
    digests = {file.path: file.digest for file in pin.files}
    if isinstance(fault, Wrong):
        assert f"expected {digests[name]}, got sha256:" in str(caught.value)
        assert not (scene.folder / "cache" / "sha256" / digests[name].removeprefix("sha256:")).exists()


def test_a_line_that_only_drips_is_a_dead_one(scene: Scene) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE] += [Slow(7)] * 9
    with pytest.raises(TransferError, match=r"broke.*bytes in .* s"):
        scene.fetch(pin)


def test_retry_after_is_kept_to_and_hours_are_not_waited(scene: Scene) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE].append(Status(429, "1"))
    began = time.monotonic()
    assert scene.fetch(pin) == FILES
    assert 1 <= time.monotonic() - began < 10
    other = replace(scene, folder=scene.folder / "other")
    scene.hub.faults[LARGE].append(Status(429, "86400"))
    with pytest.raises(UnreachableError, match="86400"):
        other.fetch(pin)


def test_a_listing_is_asked_for_again(scene: Scene) -> None:
    scene.hub.faults["list"] += [Status(500), Status(429, "0")]
    assert len(scene.pin().files) == len(FILES)


def test_a_listing_that_stays_away_is_unreachable(scene: Scene) -> None:
    scene.hub.faults["list"] += [Status(500)] * 99
    with pytest.raises(UnreachableError, match=NAME):
        scene.pin()


@pytest.mark.parametrize("where", ["repo", "revision"])
def test_what_is_not_there_is_a_mistake_in_kit_yaml(scene: Scene, where: str) -> None:
    wrong = {"repo": ("Owner/Missing", "main"), "revision": (NAME, "v9")}[where]
    with pytest.raises(ConfigError, match=wrong[where == "revision"]):
        scene.client.list_files(*wrong)


def test_a_file_that_went_away_is_named(scene: Scene) -> None:
    pin = scene.pin()
    other = dict(FILES)
    del other[SMALL]
    scene.hub.repository.commits[COMMIT] = other
    with pytest.raises(KitError, match=SMALL):
        scene.fetch(pin)


def test_a_hub_that_does_not_answer_is_unreachable(scene: Scene) -> None:
    scene.hub.endpoint = "http://127.0.0.1:9"
    with pytest.raises(UnreachableError, match=NAME):
        scene.pin()


def test_a_branch_that_moved_is_a_drift(scene: Scene) -> None:
    pin = scene.pin()
    known = scene.hub.repository
    known.commits[OTHER_COMMIT] = {**FILES, SMALL: b'{"hidden_size": 65}'}
    known.branches["main"] = OTHER_COMMIT
    if scene.origin == "huggingface":
        assert scene.fetch(pin) == FILES, "the commit is pinned, so what was locked still comes"
    else:
        with pytest.raises(VerificationError, match="main moved since it was locked"):
            scene.fetch(pin)
    assert scene.pin() != pin


# Names


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\x", "a\nx", "a\x1b[2Jx", "x/", "sub"])
def test_a_name_that_could_do_harm_is_refused(scene: Scene, name: str) -> None:
    scene.folder /= "own"  # what is above it is this test's too
    scene.hub.repository.names = {SMALL: name, "README.md": "sub/y"}
    with pytest.raises(ConfigError, match=r"cannot travel|a file and a folder"):
        scene.pin()
    assert not [path for path in scene.folder.parent.rglob("x") if path.is_file()]


def test_two_files_of_one_name_are_refused(scene: Scene) -> None:
    scene.hub.repository.names = {SMALL: "README.md"}
    with pytest.raises(ConfigError, match="two files of one name"):
        scene.pin()


# Several at once


def test_files_come_in_parallel(scene: Scene) -> None:
    files = {f"{number}.safetensors": bytes([number]) * 400_000 for number in range(8)}
    scene.hub.repository.commits[COMMIT] = files
    pin = scene.pin()
    scene.hub.rate = 1_000_000
    began = time.monotonic()
    assert scene.fetch(pin) == files
    assert time.monotonic() - began < 8 * 0.4 / 2
    assert 4 <= scene.hub.most_together <= 8


def test_two_kits_in_one_cache_fetch_each_file_once(scene: Scene) -> None:
    pin = scene.pin()
    scene.hub.rate = 4_000_000
    scene.hub.seen.clear()
    found: list[dict[str, bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(scene.fetch(pin))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FILES] * 3
    assert len(scene.hub.asked(LARGE)) == 1
    assert any("another kit fetches it" in line for line in scene.told.lines)
    assert list((scene.folder / "cache" / "partial").iterdir()) == []
