"""Loading from a disk: what arrives, what is read, and what damage, pulled media and kills cost."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.sign import sign_bundle
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.volumes import VolumeForm
from kit.errors import ConfigError, EngineError, KitError, TransferError, UnfitError, VerificationError
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.ship.agent.lock import held
from kit.workflow.load_bundle import Load, Loaded, LoadRequest, chosen_root
from tests.factories import project_document
from tests.unit.bundle.factories import as_tarball, local_tree
from tests.unit.cli.test_main import run
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.fake_host import FakeHost
from tests.unit.ship.test_ship import make_host
from tests.unit.signature.soft_keys import ed25519_key, sshsig

MIB = 1 << 20
PIECE = 4 * MIB
ALICE = ed25519_key()


@functools.cache
def weights() -> bytes:
    return random.Random(1).randbytes(5 * PIECE + 1000)


def bundle(folder: Path, data: bytes | None = None) -> BundleSource:
    """A bundle whose model has a file of six pieces."""
    files = {"config.json": b"{}", "weights/model.safetensors": data or weights()}
    return ship_bundle_source(folder, trees=(local_tree(folder / "model", files),))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in all forms, which no test may change."""
    folder = tmp_path_factory.mktemp("bundles")
    source = bundle(folder)
    as_tarball(source, folder / "crossing.tar")
    as_tarball(source, folder / "cut" / "crossing.tar", VolumeForm(6 * MIB, 1))
    return folder


@pytest.fixture
def host(tmp_path: Path, made: Path) -> FakeHost:
    return make_host(tmp_path / "host", open_bundle(made / "bundle"))


@dataclass
class Watched:
    """A bundle that notes what is read of its blobs, and may end in the middle."""

    source: BundleSource
    seen: list[tuple[str, int, int]] = field(default_factory=list)
    """(path, offset, length)"""
    ends_after: int | None = None
    """Bytes after which the medium is gone."""

    @property
    def count(self) -> int:
        return sum(length for _, _, length in self.seen)

    @property
    def blob_bytes(self) -> int:
        """Bytes of all but small blobs."""
        return sum(length for _, _, length in self.seen if length > 1000)

    def read(self, digest: str) -> Iterator[bytes]:
        self._note(digest, 0, None)
        return self.source.read(digest)

    def read_range(self, digest: str, offset: int, length: int | None = None) -> Iterator[bytes]:
        self._note(digest, offset, length)
        return self.source.read_range(digest, offset, length)

    def _note(self, digest: str, offset: int, length: int | None) -> None:
        if self.ends_after is not None and self.count >= self.ends_after:
            raise TransferError("cannot be read", where="/media/disk/crossing.tar", why="Input/output error")
        parts = self.source.ranges(digest, offset, 1 << 60 if length is None else length)
        self.seen += [(str(part.path), part.offset, part.length) for part in parts]

    def twice(self) -> list[tuple[str, int, int]]:
        """Return ranges that begin before the one read before them has ended."""
        found, end = [], ("", 0)
        for path, offset, length in sorted(self.seen):
            if path == end[0] and offset < end[1]:
                found.append((path, offset, length))
            end = (path, offset + length)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


def opened(host: FakeHost, path: Path, ends_after: int | None = None, **more: Any) -> tuple[Load, Watched]:
    loading = Load(LoadRequest(path, host_spec(root=str(host.root)), **more), host, NoProgress())
    watched = Watched(loading.source, ends_after=ends_after)
    loading.source = watched
    return loading, watched


def load(host: FakeHost, path: Path, **more: Any) -> Loaded:
    return opened(host, path, **more)[0].carry_out(lambda: host.engine)


def failed(host: FakeHost, path: Path, **more: Any) -> KitError:
    with pytest.raises(KitError) as caught:
        load(host, path, **more)
    return caught.value


def flip(path: Path, at: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def copied(made: Path, folder: Path, name: str) -> Path:
    """A copy of one form, for spoiling; returns what opens it."""
    folder.mkdir()
    parent = made / "cut" if name == "cut" else made
    for path in parent.glob("crossing.tar*"):
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder if name == "cut" else folder / "crossing.tar"


def place_of(path: Path, piece: int, at: int = 500) -> tuple[Path, int]:
    """Where a byte of a piece of the model's weights lies."""
    source = open_bundle(path)
    tree = source.manifest.tree("model", "tiny")
    assert tree is not None
    digest = next(file.digest for file in tree.files if file.path.startswith("weights"))
    part = next(source.ranges(digest, piece * PIECE + at, 1))
    return part.path, part.offset


@pytest.mark.parametrize("form", ["bundle", "crossing.tar", "cut"])
def test_all_of_it_arrives_and_no_byte_is_read_twice(made: Path, host: FakeHost, form: str) -> None:
    loading, watched = opened(host, made / form)
    loaded = loading.carry_out(lambda: host.engine)
    manifest = loading.source.manifest
    assert {tag for tag, _ in loaded.images} == {image.identity_tag for image in manifest.images}
    assert sorted(loaded.loaded) == sorted(image.identity_tag for image in manifest.images)
    assert (host.root / "models/tiny/weights/model.safetensors").read_bytes() == weights()
    assert (host.root / "bundles/current.json").read_bytes() == loading.source.manifest_bytes
    assert (host.root / "bin/kit").stat().st_mode & 0o111
    assert not [name for name in host.files() if name.startswith("partial/")]
    assert watched.twice() == []
    assert loaded.read_bytes == watched.count > len(weights())
    assert (loaded.files, loaded.file_bytes) == (2, len(weights()) + 2)


def test_a_tarball_is_read_from_its_start_to_its_end(made: Path, host: FakeHost) -> None:
    loading, watched = opened(host, made / "crossing.tar")
    indexes = sum(
        index.size for tree in loading.source.manifest.trees for f in tree.files if (index := f.index)
    )
    loading.carry_out(lambda: host.engine)
    offsets = [offset for _, offset, length in watched.seen if length > indexes]
    assert offsets == sorted(offsets)


def test_a_second_load_reads_nothing(made: Path, host: FakeHost) -> None:
    load(host, made / "crossing.tar")
    host.engine.calls.clear()
    loading, watched = opened(host, made / "bundle")
    loaded = loading.carry_out(lambda: host.engine)
    assert (loaded.read_bytes, watched.seen, loaded.loaded, host.engine.calls) == (0, [], (), [])
    assert loaded.there_bytes > len(weights())


def test_the_receipt_says_where_it_came_from(made: Path, host: FakeHost) -> None:
    load(host, made / "crossing.tar")
    (receipt,) = (host.root / "receipts").iterdir()
    who = json.loads(receipt.read_text())["who"]
    assert who.endswith(f"from {made}/crossing.tar")


def test_an_engine_that_fails_ends_the_reading(made: Path, host: FakeHost) -> None:
    host.engine.offered.clear()
    loading, _ = opened(host, made / "crossing.tar")
    with pytest.raises(EngineError):
        loading.carry_out(lambda: host.engine)
    assert not (host.root / "bundles").exists()


def test_a_named_host_gets_what_kit_yaml_wants_there(made: Path, host: FakeHost) -> None:
    document = project_document(images=["train"], hosts={"gpu1": {"address": "10.0.0.11"}})
    document["jobs"] = {"train": document["jobs"]["train"] | {"hosts": ["gpu1"], "datasets": ["questions"]}}
    project = LoadedProject(parse_project(document), made)
    with pytest.raises(ConfigError, match="no dataset questions"):
        load(host, made / "bundle", name="gpu1", project=project)
    document["jobs"] = {}
    project = LoadedProject(parse_project(document), made)
    loaded = load(host, made / "bundle", name="gpu1", project=project)
    assert [tag.split(":")[0] for tag, _ in loaded.images] == ["kit.invalid/kit"]
    assert loaded.trees == ()
    assert loaded.read_bytes < len(weights()) / 10


@pytest.mark.parametrize("form", ["crossing.tar", "cut"])
def test_a_pulled_medium_costs_what_was_not_read_yet(made: Path, host: FakeHost, form: str) -> None:
    loading, before = opened(host, made / form, ends_after=PIECE)
    with pytest.raises(TransferError) as caught:
        loading.carry_out(lambda: host.engine)
    assert "it goes on where it stopped" in caught.value.fix
    assert not (host.root / "models").exists()
    assert not (host.root / "bundles").exists()
    loading, after = opened(host, made / form)
    loading.carry_out(lambda: host.engine)
    whole = sum(blob.size for blob in loading.source.manifest.blobs)
    assert before.count + after.count <= whole
    assert (host.root / "models/tiny/weights/model.safetensors").read_bytes() == weights()


def test_a_damaged_tarball_is_named_and_all_else_taken_in(made: Path, host: FakeHost, tmp_path: Path) -> None:
    path = copied(made, tmp_path / "disk", "crossing.tar")
    flip(*place_of(path, 1))
    error = failed(host, path)
    assert isinstance(error, VerificationError)
    assert (str(path) in error.what, "frame 1 of sha256:" in error.why) == (True, True)
    assert "kit load again" in error.fix
    assert not (host.root / "models").exists()
    loading, watched = opened(host, made / "crossing.tar")
    loading.carry_out(lambda: host.engine)
    assert watched.blob_bytes == PIECE


def test_damaged_volumes_are_named_with_what_mends_them(made: Path, host: FakeHost, tmp_path: Path) -> None:
    path = copied(made, tmp_path / "disk", "cut")
    # The second piece lies in two volumes, of which one is damaged.
    assert place_of(path, 1)[0] != place_of(path, 1, PIECE - 1)[0]
    spoiled = {place_of(path, 1), place_of(path, 4)}
    for place in spoiled:
        flip(*place)
    error = failed(host, path)
    assert isinstance(error, VerificationError)
    assert f"{len(spoiled)} of 4 volumes cannot be used" in error.what
    for volume, _ in spoiled:
        assert f"{volume.name} is damaged" in error.what
    assert "copy these again" in error.fix
    loading, watched = opened(host, made / "cut")
    loading.carry_out(lambda: host.engine)
    assert watched.blob_bytes == 2 * PIECE


def test_one_damaged_volume_is_mended_by_parity(made: Path, host: FakeHost, tmp_path: Path) -> None:
    path = copied(made, tmp_path / "disk", "cut")
    flip(*place_of(path, 1))
    error = failed(host, path)
    assert error.fix == f"kit recover -b {path}/crossing.tar.volumes.json"


def test_a_missing_volume_is_named_and_nothing_changes(made: Path, host: FakeHost, tmp_path: Path) -> None:
    path = copied(made, tmp_path / "disk", "cut")
    (path / "crossing.tar.0002").unlink()
    error = failed(host, path)
    assert isinstance(error, VerificationError)
    assert "crossing.tar.0002 is missing" in error.what
    assert not host.root.exists()


def test_too_little_room_is_refused_before_anything_is_read(made: Path, host: FakeHost) -> None:
    host.facts["root_df"] = "/dev/sda1 1000000 900000 100000 90% /aisys"
    loading, watched = opened(host, made / "crossing.tar")
    with pytest.raises(UnfitError, match="too little room") as caught:
        loading.carry_out(lambda: host.engine)
    assert "GB needed" in caught.value.what
    assert "read" in caught.value.why
    assert watched.seen == []
    assert not host.root.exists()


def test_two_at_once_are_told_apart(made: Path, host: FakeHost) -> None:
    host.root.mkdir()
    with held(host.root, "ops@far away"):
        error = failed(host, made / "bundle")
    assert isinstance(error, TransferError)
    assert "ops@far away" in error.why
    assert "kit load again" in error.fix


def test_only_changed_pieces_are_read_of_a_later_bundle(made: Path, host: FakeHost, tmp_path: Path) -> None:
    load(host, made / "bundle")
    changed = bytearray(weights())
    changed[PIECE + 7] ^= 1
    later = bundle(tmp_path / "later", bytes(changed))
    loading, watched = opened(host, as_tarball(later, tmp_path / "later.tar"))
    loading.carry_out(lambda: host.engine)
    assert (host.root / "models/tiny/weights/model.safetensors").read_bytes() == changed
    assert sum(length for _, _, length in watched.seen if length >= PIECE) == PIECE
    assert watched.count < PIECE + 10_000


def test_a_dry_run_changes_nothing(made: Path, host: FakeHost) -> None:
    plan = opened(host, made / "crossing.tar")[0].plan()
    assert plan.read_bytes > len(weights())
    assert plan.trees == ("model tiny",)
    assert len(plan.loads) == 2
    assert not host.root.exists()


def test_the_hosts_policy_decides(made: Path, host: FakeHost, tmp_path: Path) -> None:
    (host.root / "etc").mkdir(parents=True)
    (host.root / "etc/signers").write_text(f"alice {ALICE.line}\n")
    policy = host.root / "etc/trust.yaml"
    policy.write_text("require_signature: true\nallowed_signers: signers\n")
    for path in (policy, host.root / "etc/signers"):
        path.chmod(0o644)
    error = failed(host, made / "crossing.tar")
    assert isinstance(error, VerificationError)
    assert "unsigned" in error.what
    assert set(host.files()) == {"etc/trust.yaml", "etc/signers"}
    bundle(tmp_path)
    signed = sign_bundle(tmp_path / "bundle", lambda message: sshsig(ALICE, message))
    load(host, as_tarball(signed, tmp_path / "signed.tar"))
    (kept,) = (host.root / "bundles").glob("*.sig")
    assert kept.name == f"{blob_of(signed.manifest_bytes).digest[7:]}.json.sig"


def test_signers_may_be_named_on_the_command_line(made: Path, host: FakeHost, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text(f"alice {ALICE.line}\n")
    signers.chmod(0o644)
    error = failed(host, made / "bundle", allowed_signers=signers)
    assert "unsigned" in error.what


def test_the_root_is_the_one_asked_for_or_the_containers() -> None:
    assert chosen_root(None, None, None) == "/aisys/kit"
    assert chosen_root("/data/kit", "/srv/kit", None) == "/data/kit"
    assert chosen_root(None, "/srv/kit", None) == "/srv/kit"
    assert chosen_root(None, None, "/data/kit") == "/data/kit"
    with pytest.raises(ConfigError) as caught:
        chosen_root("/srv/kit", None, "/data/kit")
    assert "/srv/kit" in caught.value.fix


@pytest.mark.parametrize(
    ("words", "own", "says"),
    [
        (("--root", "kit"), "", "no absolute path"),
        (("--root", "/srv/kit"), "/data/kit", "/data/kit/bin/kit loads into its own folder"),
        (("--host", "gpu1"), "/data/kit", "not /aisys/kit"),
        (("--host", "gpu9"), "", "no host named 'gpu9'"),
        ((), "", "no bundle here"),
    ],
)
def test_wrong_words_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], own: str, says: str
) -> None:
    (tmp_path / "kit.yaml").write_text(json.dumps(project_document()))
    monkeypatch.setenv("KIT_ROOT", own)
    done = run("load", str(tmp_path / "none.tar"), "-f", str(tmp_path / "kit.yaml"), *words)
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr
