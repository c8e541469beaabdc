from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.manifest import File, Layer
from kit.bundle.source import BundleSource, open_bundle
from kit.errors import EngineError, KitError, TransferError, UnfitError, UnreachableError, VerificationError
from kit.progress import NoProgress
from kit.ship.agent.lock import held
from kit.ship.receipt import Receipt
from kit.ship.ship import plan_hosts, ship_bundle
from tests.unit.bundle.factories import BASE_LAYER
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import WANTED, ship_bundle_source
from tests.unit.ship.fake_host import FakeHost


class CountingProgress(NoProgress):
    """Adds up what was reported."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, str]] = []
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self._lock = threading.Lock()

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        self.phases.append((phase, text))
        if send_bytes is not None:
            self.totals[host] = send_bytes

    def sent(self, host: str, amount: int) -> None:
        with self._lock:
            self.done[host] = self.done.get(host, 0) + amount


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


@pytest.fixture
def host(tmp_path: Path, source: BundleSource) -> FakeHost:
    return make_host(tmp_path / "gpu1", source)


def make_host(folder: Path, source: BundleSource, name: str = "gpu1") -> FakeHost:
    made = FakeHost(folder, source.manifest, name)
    made.folder.mkdir()
    for image in source.manifest.images:
        made.engine.offer(image)
    return made


def ship(source: BundleSource, *hosts: FakeHost, progress: Any = None) -> tuple[Receipt, ...]:
    by_name = {host.name: host for host in hosts}
    specs = {host.name: host_spec(root=str(host.root)) for host in hosts}
    wanted = dict.fromkeys(by_name, WANTED)
    return ship_bundle(source, by_name, specs, wanted, progress or NoProgress())


def everything(source: BundleSource) -> set[str]:
    """The files of a host that holds all of it."""
    train, tree = source.manifest.image("train"), source.manifest.tree("model", "tiny")
    assert train is not None
    assert tree is not None
    blobs = (*train.blobs, *(blob for file in tree.files for blob in file.blobs))
    names = {"blobs/sha256/" + blob.digest[7:] for blob in blobs}
    names |= {"models/tiny/" + file.path for file in tree.files}
    items: tuple[Layer | File, ...] = (*train.layers, *tree.files)
    indexed = (item for item in items if item.index is not None)
    names |= {"frames/" + item.digest[7:] for item in indexed}
    return names | {
        "bin/kit",
        "bundles/current.json",
        f"bundles/{blob_of(source.manifest_bytes).digest[7:]}.json",
    }


def test_a_bare_host_ends_up_with_all_that_it_wants(source: BundleSource, host: FakeHost) -> None:
    progress = CountingProgress()
    (receipt,) = ship(source, host, progress=progress)
    assert host.files() == everything(source)
    assert {tag for tag, _ in receipt.images} == {image.identity_tag for image in source.manifest.images}
    assert (host.root / "bundles" / "current.json").read_bytes() == source.manifest_bytes
    assert (host.root / "models/tiny/config.json").read_bytes() == b'{"hidden_size": 64}'
    assert (host.root / "bin/kit").stat().st_mode & 0o111
    assert receipt.there_bytes == 0
    assert progress.totals == progress.done == {"gpu1": receipt.sent_bytes}
    # Loading is told of only when it is not over as soon as sending is.
    assert [phase for phase in dict(progress.phases) if phase != "load"] == [
        "have",
        "plan",
        "send",
        "assemble",
        "place",
        "done",
    ]
    assert ("place", "tiny") in progress.phases
    assert len(list((host.root / "receipts").iterdir())) == 1


def test_kits_image_is_loaded_before_anything_runs_in_it(source: BundleSource, host: FakeHost) -> None:
    ship(source, host)
    words = [" ".join(argv) for argv in host.commands]
    load = next(i for i, text in enumerate(words) if text.startswith("docker load"))
    run = next(i for i, text in enumerate(words) if text.startswith("docker run"))
    assert load < run
    assert not list((host.root / "partial").glob("kit-image*"))


def test_a_second_ship_sends_nothing(source: BundleSource, host: FakeHost) -> None:
    ship(source, host)
    host.received, host.engine.calls = 0, []
    (receipt,) = ship(source, host)
    assert (receipt.sent_bytes, receipt.loaded, host.received, host.engine.calls) == (0, (), 0, [])
    assert receipt.there_bytes > 0


def test_a_dry_run_changes_nothing(source: BundleSource, host: FakeHost) -> None:
    planned = plan_hosts(source, {"gpu1": host}, {"gpu1": host_spec(root=str(host.root))}, {"gpu1": WANTED})
    assert planned.hosts["gpu1"].plan.send_bytes > 0
    assert not host.root.exists()
    assert {argv[:2] for argv in host.commands} == {("sh", "-s")}


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {"engine_version": "", "engine_error": "Cannot connect to the Docker daemon"},
            "no Docker engine answers",
        ),
        ({"engine_version": "19.03.1"}, "engine 19.03.1"),
        ({"root_writable": "0"}, "cannot write"),
        ({"root_df": "/dev/sda1 100000 99000 1000 99% /"}, "GB free"),
        ({"architecture": "aarch64"}, "aarch64"),
    ],
)
def test_a_host_that_is_not_fit_is_refused_before_the_first_byte_to_any(
    tmp_path: Path, source: BundleSource, host: FakeHost, facts: dict[str, str], text: str
) -> None:
    unfit = make_host(tmp_path / "gpu2", source, "gpu2")
    unfit.facts = facts
    with pytest.raises(UnfitError, match=text):
        ship(source, host, unfit)
    for each in (host, unfit):
        assert not each.root.exists()
        assert {argv[:2] for argv in each.commands} == {("sh", "-s")}


def flip(source: BundleSource, tmp_path: Path, path: str) -> BundleSource:
    tree = source.manifest.tree("model", "tiny")
    assert tree is not None
    digest = next(file.digest for file in tree.files if file.path == path)
    place = tmp_path / "bundle" / "blobs" / "sha256" / digest[7:]
    place.chmod(0o644)
    data = place.read_bytes()
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return open_bundle(tmp_path / "bundle")


def test_a_flipped_byte_in_the_bundle_is_refused_and_none_of_that_blob_stays(
    tmp_path: Path, source: BundleSource, host: FakeHost
) -> None:
    damaged = flip(source, tmp_path, "weights/model.safetensors")
    tree = source.manifest.tree("model", "tiny")
    assert tree is not None
    digest = next(file.digest for file in tree.files if file.path == "weights/model.safetensors")
    with pytest.raises(VerificationError) as caught:
        ship(damaged, host)
    assert digest in str(caught.value)
    assert str(tmp_path / "bundle") in caught.value.where
    assert not [name for name in host.files() if digest[7:] in name]
    assert not (host.root / "models").exists()
    assert not (host.root / "bundles").exists()


def test_a_flipped_byte_in_kits_image_stops_it_before_the_engine_sees_it(
    tmp_path: Path, source: BundleSource, host: FakeHost
) -> None:
    kit = source.manifest.image("kit")
    assert kit is not None
    place = tmp_path / "bundle" / "blobs" / "sha256" / kit.layers[-1].digest[7:]
    place.chmod(0o644)
    data = place.read_bytes()
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(VerificationError):
        ship(open_bundle(tmp_path / "bundle"), host)
    assert not [argv for argv in host.commands if argv[:2] in (("docker", "load"), ("docker", "run"))]
    assert host.files() == set()


def test_an_archive_that_arrives_garbled_is_not_loaded(source: BundleSource, host: FakeHost) -> None:
    host.garble_archive = True
    with pytest.raises(VerificationError, match="arrived with other bytes"):
        ship(source, host)
    assert not [argv for argv in host.commands if argv[:2] in (("docker", "load"), ("docker", "run"))]
    # What goes ahead of its agent waits for the next one.
    assert {name.partition(".")[0] for name in host.files()} <= {"partial/early"}


def test_a_cut_line_is_a_failed_transfer_and_the_next_ship_goes_on(
    source: BundleSource, host: FakeHost
) -> None:
    host.cut_after = 4000
    with pytest.raises(TransferError, match="on the way") as caught:
        ship(source, host)
    assert "goes on where it stopped" in caught.value.fix
    assert not (host.root / "bundles").exists()
    first, host.received, host.cut_after, host.lost = host.received, 0, None, False
    (receipt,) = ship(source, host)
    assert host.files() == everything(source)
    assert receipt.there_bytes > 0
    assert host.received < first + receipt.sent_bytes


def test_a_partial_blob_gone_bad_is_sent_again_from_its_start(source: BundleSource, host: FakeHost) -> None:
    tree = source.manifest.tree("model", "tiny")
    assert tree is not None
    weights = next(file for file in tree.files if file.path.startswith("weights"))
    (host.root / "partial").mkdir(parents=True)
    (host.root / "partial" / weights.digest[7:]).write_bytes(b"rotten" * 100)
    ship(source, host)
    assert host.files() == everything(source)


def test_a_blob_gone_bad_on_the_host_is_sent_again(source: BundleSource, host: FakeHost) -> None:
    ship(source, host)
    place = host.root / "models/tiny/weights/model.safetensors"
    good = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(b"X" + good[1:])
    (receipt,) = ship(source, host)
    assert place.read_bytes() == good
    assert receipt.sent_bytes == len(good)


def test_a_false_image_under_the_identity_tag_is_replaced(source: BundleSource, host: FakeHost) -> None:
    train = source.manifest.image("train")
    assert train is not None
    host.engine.bear(train, id="sha256:" + "0" * 64)
    (receipt,) = ship(source, host)
    assert train.identity_tag in receipt.loaded
    assert host.engine.images[train.identity_tag].id == train.config.digest


def test_two_ships_at_once_are_told_apart(source: BundleSource, host: FakeHost) -> None:
    ship(source, host)
    before = host.files()
    with held(host.root, "alice@build1"), pytest.raises(TransferError, match="alice@build1"):
        ship(source, host)
    assert host.files() == before


def test_one_host_that_fails_does_not_stop_the_others(
    tmp_path: Path, source: BundleSource, host: FakeHost
) -> None:
    broken = make_host(tmp_path / "gpu2", source, "gpu2")
    broken.engine.fails = "pull"
    with pytest.raises(EngineError, match="gpu2"):
        ship(source, broken, host)
    assert host.files() == everything(source)
    assert not (broken.root / "bundles").exists()


def test_of_several_errors_all_are_named(tmp_path: Path, source: BundleSource) -> None:
    hosts = [make_host(tmp_path / name, source, name) for name in ("gpu1", "gpu2")]
    for each in hosts:
        each.engine.fails = "pull"
    with pytest.raises(EngineError) as caught:
        ship(source, *hosts)
    assert "gpu1" in str(caught.value)
    assert "gpu2" in caught.value.why


class Gone(FakeHost):
    def stream(self, *_: Any, **__: Any) -> Any:
        raise UnreachableError("it does not answer over SSH", where=self.name)


def test_a_host_that_cannot_be_reached_is_passed_by(
    tmp_path: Path, source: BundleSource, host: FakeHost
) -> None:
    gone = Gone(tmp_path / "gone", source.manifest, "gpu2")
    with pytest.raises(UnreachableError, match="gpu2"):
        ship(source, gone, host)
    assert host.files() == everything(source)


def test_a_host_that_is_not_fit_stops_the_ship_though_another_cannot_be_reached(
    tmp_path: Path, source: BundleSource, host: FakeHost
) -> None:
    gone = Gone(tmp_path / "gone", source.manifest, "gpu2")
    unfit = make_host(tmp_path / "gpu3", source, "gpu3")
    unfit.facts = {"architecture": "aarch64"}
    with pytest.raises(UnfitError, match="gpu3"):
        ship(source, gone, host, unfit)
    assert not host.root.exists()


def test_an_agent_that_lies_about_the_receipt_is_not_believed(source: BundleSource, host: FakeHost) -> None:
    class Liar(FakeHost):
        def carry_out(self, *_: Any) -> dict[str, Any]:
            return {"bundle": 1, "images": 5}

    liar = Liar(host.folder, host.manifest, engine=host.engine)
    with pytest.raises(KitError, match="receipt"):
        ship(source, liar)


def receipts(host: FakeHost) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((host.root / "receipts").iterdir())]


def test_the_receipt_on_a_host_names_what_was_compared(source: BundleSource, host: FakeHost) -> None:
    (told,) = ship(source, host)
    (kept,) = receipts(host)
    train, tree = source.manifest.image("train"), source.manifest.tree("model", "tiny")
    assert train is not None
    assert tree is not None
    assert (kept["outcome"], kept["kit_receipt"], kept["bundle"]) == ("done", 1, told.bundle)
    assert kept["compared"]["images"][train.identity_tag] == {
        "config": train.config.digest,
        "layers": [layer.diff_id for layer in train.layers],
    }
    wanted = {f"models/tiny/{file.path}": [file.digest, file.size] for file in tree.files}
    assert kept["compared"]["files"] == wanted
    assert (told.files, told.file_bytes) == (2, sum(file.size for file in tree.files))
    (line,) = (host.root / "receipts.log").read_text().splitlines()
    assert "2 images, 2 files" in line


def test_a_ship_that_fails_on_a_host_leaves_a_receipt_there_and_nothing_to_start_from(
    source: BundleSource, host: FakeHost
) -> None:
    host.engine.fails = "pull"
    with pytest.raises(EngineError):
        ship(source, host)
    (kept,) = receipts(host)
    assert (kept["outcome"], kept["error"]["what"]) == ("failed", "pull failed")
    assert "FAILED: pull failed" in (host.root / "receipts.log").read_text()
    assert not (host.root / "bundles").exists()
    assert not (host.root / "models").exists()


def test_a_base_that_kits_image_brought_is_not_sent_again(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path, BASE_LAYER)
    host = FakeHost(tmp_path / "gpu1", source.manifest)
    host.folder.mkdir()
    train = source.manifest.image("train")
    assert train is not None
    host.engine.offer(train)
    base = f"blobs/sha256/{train.layers[0].digest[7:]}"
    (told,) = ship(source, host)
    assert told.loaded == (train.identity_tag,)
    assert host.files() == everything(source) - {base}
    assert [call[0] for call in host.engine.calls] == ["load", "tag"]
    (again,) = ship(source, host)
    assert (again.sent_bytes, again.loaded) == (0, ())
