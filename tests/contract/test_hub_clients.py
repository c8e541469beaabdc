"""The hubs' own client libraries, and kit over them, against a hub on loopback that speaks their API."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kit.bundle.digest import blob_of
from kit.errors import ConfigError, KitError, TransferError, UnreachableError, VerificationError
from kit.hub.fetch_tree import fetch_from_hub
from kit.hub.patience import Patience
from kit.hub.pin_tree import pin_from_hub
from kit.hub.pinned_hub import make_hub
from kit.hub.requests_download import Tempo
from kit.progress import NoProgress
from kit.project.model import ModelSpec
from tests.hub_server.faults import Cut, Fault, Longer, NoRange, Short, Slow, Status, Wrong, Zipped
from tests.hub_server.repository import COMMIT, NAME, OTHER_COMMIT, TOKEN
from tests.hub_server.server import SIGNATURE, Hub, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.hub.port import HubClient
    from kit.project.lock import TreePin

LARGE = "sub/model.safetensors"
SMALL = "config.json"
FILES = {
    SMALL: b'{"hidden_size": 64}',
    LARGE: bytes(range(256)) * 8000,
    "README.md": b"read me",
    "空 格+&?.txt": b"a name that must be quoted",
    "empty.txt": b"",
}
ORIGINS = {"huggingface": "huggingface_hub", "modelscope": "modelscope_hub"}
QUICK = Tempo(connect=2, silence=0.6, window=0.5, least=1000)
SOON = Patience(attempts=3, first_pause=0.01)


class Told(NoProgress):
    """Keeps what was said and counts bytes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: list[int] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def advance(self, task: str, amount: int) -> None:  # noqa: ARG002
        self.counts.append(amount)


@dataclass
class Scene:
    """One origin, its hub, and a cache."""

    origin: str
    hub: Hub
    folder: Path
    told: Told

    @property
    def client(self) -> HubClient:
        return make_hub(self.origin, self.hub.endpoint, QUICK)

    def pin(self, revision: str = "main", **spec: object) -> TreePin:
        model = ModelSpec(source=self.origin, repo=NAME, revision=revision, **spec)  # type: ignore[arg-type]
        return pin_from_hub("tiny", model, self.folder / "lock", self.client, self.told, SOON)

    def fetch(self, pin: TreePin) -> dict[str, bytes]:
        tree = fetch_from_hub(pin, self.folder / "cache", self.client, self.told, SOON)
        return {file.path: file.place.read_bytes() for file in tree.files}


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def checked(host: str, *rest: Any, **named: Any) -> Any:
        if not str(host).startswith("127."):
            raise AssertionError(f"a test asked for {host}")
        return look_up(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", checked)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub(dict(FILES)) as hub:
        yield hub


@pytest.fixture(params=list(ORIGINS))
def scene(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: Hub) -> Scene:
    pytest.importorskip(ORIGINS[request.param])
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # The clients' own patience with a listing is minutes.
    hurried = SimpleNamespace(sleep=lambda _: None, time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr("huggingface_hub.utils._http.time", hurried)
    monkeypatch.setattr("modelscope_hub._legacy_api.time", hurried)
    return Scene(request.param, hub, tmp_path, Told())


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


# Tokens


@pytest.fixture
def token(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_TOKEN" if scene.origin == "huggingface" else "MODELSCOPE_API_TOKEN", TOKEN)
    return TOKEN


@pytest.mark.parametrize("closed", ["gated", "private"])
def test_a_closed_repository_says_how_to_be_let_in(scene: Scene, closed: str) -> None:
    scene.hub.repository.closed = closed
    with pytest.raises(ConfigError, match=r"HF_TOKEN|MODELSCOPE_API_TOKEN"):
        scene.fetch(scene.pin())


@pytest.mark.parametrize("closed", ["gated", "private"])
def test_a_token_opens_it_goes_to_the_hub_alone_and_is_kept_nowhere(
    scene: Scene, token: str, closed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.hub.repository.closed = closed
    assert scene.fetch(scene.pin()) == FILES
    for seen in scene.hub.seen:
        elsewhere = seen.host in scene.hub.store
        assert (token in seen.authorization + seen.cookie) == (not elsewhere)
    said = "".join([*scene.told.lines, *capfd.readouterr()])
    written = b"".join(path.read_bytes() for path in scene.folder.rglob("*") if path.is_file())
    assert token not in said
    assert token.encode() not in written
    assert any(seen.host in scene.hub.store for seen in scene.hub.seen)


@pytest.mark.parametrize("fault", [Status(500), Status(403), Cut(0), Wrong()], ids=repr)
@pytest.mark.usefixtures("token")
def test_no_error_tells_a_token_or_a_signature(scene: Scene, fault: Fault) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE] += [fault] * 9
    with pytest.raises(KitError) as caught:
        scene.fetch(pin)
    shown = "".join([str(caught.value), *scene.told.lines])
    assert TOKEN not in shown
    assert SIGNATURE not in shown


def test_a_login_that_is_damaged_is_said_to_be(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = pytest.importorskip("modelscope_hub.config")
    monkeypatch.setenv("HOME", str(tmp_path))
    # Without mirrors.hub the client goes where this says: never beyond loopback.
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.endpoint)
    monkeypatch.delenv("MODELSCOPE_API_TOKEN", raising=False)
    # The client keeps one configuration for the whole process.
    monkeypatch.setattr(config, "_default_config", None)
    place = tmp_path / ".modelscope" / "credentials" / "cookies"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    with pytest.raises(ConfigError, match="login cannot be read"):
        make_hub("modelscope", None).list_files(NAME, "main")
    assert hub.seen == []


def test_a_mirror_does_not_get_the_login_that_was_made_for_the_hub(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: TOKEN)
    monkeypatch.setattr("modelscope_hub.config.HubConfig.load_token", lambda _: TOKEN)
    scene.fetch(scene.pin())
    assert not [seen for seen in scene.hub.seen if TOKEN in seen.authorization + seen.cookie]


@pytest.mark.parametrize("endpoint", ["hub.example", "ftp://hub.example", "https://me:secret@hub.example"])
def test_a_mirror_is_a_whole_address_without_a_login(scene: Scene, endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"mirrors\.hub") as caught:
        make_hub(scene.origin, endpoint)
    assert "secret@" not in str(caught.value)


# Names


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\x", "a\nx", "a\x1b[2Jx", "x/", "sub"])
def test_a_name_that_could_do_harm_is_refused(scene: Scene, name: str) -> None:
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
