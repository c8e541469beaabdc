from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.engine import EngineImage
from kit.bundle.pack_request import LocalFile, LocalTree
from kit.bundle.source import open_bundle
from kit.errors import ConfigError, EngineError
from kit.images.known_locks import remembered_locks
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.project.lock import ImageLock, Lock, PinnedFile, TreePin, project_digest, write_lock
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.trust import Rule, Trust
from kit.workflow.bundle_places import Wanted
from kit.workflow.make_bundle import BundleTools, Made, make_bundle, plan_bundle
from tests.factories import project_document
from tests.unit.signature.soft_keys import ed25519_key, sshsig

DATA = b"weights"


class NoEngine:
    """An engine that must not be needed: the bundles here hold no images."""

    def inspect(self, reference: str) -> EngineImage:
        raise EngineError(f"asked for {reference}")

    def save(self, image_id: str) -> Iterator[bytes]:
        raise EngineError(f"asked for {image_id}")


def loaded(folder: Path) -> LoadedProject:
    return LoadedProject(parse_project(project_document(images=[], jobs={})), folder)


def lock_for(project: LoadedProject, **overrides: Any) -> Lock:
    pin = TreePin("model", "tiny", "folder:model", "", (PinnedFile("w", len(DATA), blob_of(DATA).digest),))
    lock = Lock("0.1.0", "cpu", project_digest(project.project), "2026-05-01T12:30:00Z", (), (pin,))
    return replace(lock, **overrides)


def tools(folder: Path, built: list[str] | None = None) -> BundleTools:
    def build(lock: ImageLock, *_: object) -> str:
        assert built is not None
        built.append(lock.name)
        return "sha256:x"

    def fetch(pin: TreePin, *_: object) -> LocalTree:
        (folder / "w").write_bytes(DATA)
        return LocalTree(pin.kind, pin.name, pin.source, (LocalFile("w", folder / "w", blob_of(DATA)),))

    return BundleTools(build, fetch, NoEngine())


def make(folder: Path, *out: Path, **more: Any) -> Made:
    project = loaded(folder)
    write_lock(folder / "kit.lock", lock_for(project))
    return make_bundle(project, Wanted(out, **more), tools(folder), NoProgress())


def test_a_bundle_stands_beside_kit_yaml_and_can_be_opened(tmp_path: Path) -> None:
    made = make(tmp_path)
    source = open_bundle(tmp_path / "bundle")
    assert remembered_locks() == (tmp_path / "kit.lock",)
    assert made.path == str(tmp_path / "bundle")
    assert b"".join(source.read(blob_of(DATA).digest)) == DATA
    assert made.bytes == sum(blob.size for blob in source.manifest.blobs)


def test_a_tarball_is_written_without_a_folder(tmp_path: Path) -> None:
    made = make(tmp_path, tmp_path / "crossing.tar")
    assert made.path == str(tmp_path / "crossing.tar")
    assert made.bytes == (tmp_path / "crossing.tar").stat().st_size
    assert not (tmp_path / "bundle").exists()
    assert made.digest == make(tmp_path).digest


def test_both_forms_are_made_when_both_are_named(tmp_path: Path) -> None:
    made = make(tmp_path, tmp_path / "crossing.tar", tmp_path / "out")
    assert made.path == str(tmp_path / "crossing.tar")
    assert open_bundle(tmp_path / "crossing.tar").manifest == open_bundle(tmp_path / "out").manifest


def test_volumes_are_named_by_their_list(tmp_path: Path) -> None:
    made = make(tmp_path, tmp_path / "crossing.tar", volume_size="4K", parity=1)
    assert made.path == str(tmp_path / "crossing.tar.volumes.json")
    volumes = [path for path in tmp_path.glob("crossing.tar.*[0-9]") if path.is_file()]
    assert (made.volumes + made.parity_volumes, made.parity_volumes) == (len(volumes), 1)
    assert made.bytes == sum(path.stat().st_size for path in volumes)
    assert open_bundle(tmp_path / "crossing.tar.0001").manifest.name == "demo"


@pytest.mark.parametrize("form", ["bundle", "crossing.tar"])
def test_a_bundle_is_signed_as_it_is_made(tmp_path: Path, form: str) -> None:
    project, key = loaded(tmp_path), ed25519_key()
    write_lock(tmp_path / "kit.lock", lock_for(project))
    allowed = parse_allowed_signers(f"alice {key.line}\n", "signers")
    signing = replace(
        tools(tmp_path),
        sign=lambda message: sshsig(key, message),
        trust=Trust((Rule(signers_file="signers", allowed=allowed, require_signature=True),)),
    )
    made = make_bundle(project, Wanted((tmp_path / form,)), signing, NoProgress())
    assert (made.signature.status, made.signature.signer) == ("signed", "alice")
    assert open_bundle(tmp_path / form).signature.fingerprint == made.signature.fingerprint
    # Made again without a key: the same bytes, so the signature stays.
    assert make(tmp_path, tmp_path / form).signature.status == "unknown"


def test_a_bundle_made_without_a_key_is_unsigned_whatever_this_machine_demands(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    write_lock(tmp_path / "kit.lock", lock_for(project))
    demanding = replace(tools(tmp_path), trust=Trust((Rule("x", require_signature=True),)))
    assert make_bundle(project, Wanted(), demanding, NoProgress()).signature.status == "unsigned"


def test_the_same_lock_gives_the_same_bundle(tmp_path: Path) -> None:
    assert make(tmp_path).digest == make(tmp_path).digest


@pytest.mark.parametrize(
    "change",
    [{"project_digest": "sha256:0"}, {"trees": (TreePin("model", "tiny", "x:y", "", (), ("no hub",)),)}],
)
def test_a_stale_or_incomplete_lock_is_refused_before_anything_is_built(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    project = loaded(tmp_path)
    write_lock(tmp_path / "kit.lock", lock_for(project, **change))
    built: list[str] = []
    with pytest.raises(ConfigError) as caught:
        make_bundle(project, Wanted(), tools(tmp_path, built), NoProgress())
    assert "kit lock" in caught.value.fix
    assert not built
    assert not (tmp_path / "bundle").exists()


def test_images_are_built_from_their_locks(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    image = ImageLock("train", "debootstrap:bookworm", None, "sha256:1", None)
    write_lock(tmp_path / "kit.lock", lock_for(project, images=(image,)))
    built: list[str] = []
    with pytest.raises(EngineError, match="asked for sha256:x"):
        make_bundle(project, Wanted(), tools(tmp_path, built), NoProgress())
    assert built == ["train"]


def test_what_was_pulled_by_digest_is_packed_as_upstream(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    pulled = ImageLock("data", "ghcr.io/conardli/easy-dataset:1.7.3", "sha256:" + "2" * 64, "sha256:1", None)
    write_lock(tmp_path / "kit.lock", lock_for(project, images=(pulled,)))
    with pytest.raises(EngineError) as caught:
        make_bundle(project, Wanted(), tools(tmp_path, []), NoProgress())
    assert caught.value.where == "ghcr.io/conardli/easy-dataset@sha256:" + "2" * 64
    assert caught.value.fix.startswith("docker pull ")


def test_a_plan_names_what_would_be_built_and_fetched(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    write_lock(tmp_path / "kit.lock", lock_for(project))
    plan = plan_bundle(project, Wanted())
    assert plan.trees == (("model tiny", 1, len(DATA)),)
    assert not (tmp_path / "bundle").exists()
