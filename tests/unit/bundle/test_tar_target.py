"""Packing into a tarball or volumes as a stream: kept blobs, gaps closed, names given last."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.growing_tar import GrowingTar
from kit.bundle.pack import pack_bundle
from kit.bundle.place_volumes import settle_volumes
from kit.bundle.source import open_bundle
from kit.bundle.tar_target import TarTarget
from kit.bundle.verify import verify_bundle
from kit.bundle.volumes import VolumeForm
from kit.errors import ConfigError, EngineError, VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import BASE_LAYER, local_tree, pack_request, packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

if TYPE_CHECKING:
    from pathlib import Path

    from kit.bundle.manifest import Manifest

FORMS = [None, VolumeForm(4096, 0), VolumeForm(8192, 2)]
A, B, C = (bytes([number]) * size for number, size in ((1, 700), (2, 5000), (3, 1)))


@pytest.fixture(params=FORMS, ids=["tarball", "volumes", "parity"])
def form(request: pytest.FixtureRequest) -> VolumeForm | None:
    found: VolumeForm | None = request.param
    return found


def pack(
    folder: Path, form: VolumeForm | None, engine: FakeEngine | None = None, **overrides: object
) -> Manifest:
    engine = engine or FakeEngine()
    request = pack_request(engine, folder, **overrides)
    return pack_bundle(request, engine, TarTarget(folder / "b.tar", form, NoProgress()), NoProgress())


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("b.tar*") if path.is_file()}


def verified(folder: Path, form: VolumeForm | None) -> Manifest:
    source = open_bundle(folder / ("b.tar.0001" if form else "b.tar"))
    verify_bundle(source, NoProgress())
    return source.manifest


def test_the_same_bundle_as_in_a_folder(tmp_path: Path, form: VolumeForm | None) -> None:
    assert pack(tmp_path, form) == verified(tmp_path, form) == packed_bundle(tmp_path / "other").manifest


def test_packing_again_reads_nothing_and_writes_nothing(tmp_path: Path, form: VolumeForm | None) -> None:
    pack(tmp_path, form)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("b.tar.*[0-9]")}
    engine = FakeEngine()
    pack(tmp_path, form, engine)
    assert not [call for call in engine.calls if call[0] == "save"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not [path for path in (tmp_path / "b.tar.partial").iterdir() if path.name.isdigit()]


def test_a_changed_bundle_takes_what_stands_there(tmp_path: Path, form: VolumeForm | None) -> None:
    pack(tmp_path, form)
    tree = local_tree(tmp_path / "m2", {"new.json": b"{}" * 900})
    engine = FakeEngine()
    again = pack(tmp_path, form, engine, trees=(tree,))
    assert verified(tmp_path, form) == again
    assert not [call for call in engine.calls if call[0] == "save"]
    # Nothing of the old one is left over: a volume too many would be called foreign.
    assert len(again.trees) == 1


def test_another_form_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    manifests = [
        pack(tmp_path, VolumeForm(size, parity)) for size, parity in ((4096, 0), (8192, 1), (4096, 1))
    ]
    assert manifests[0] == manifests[1] == manifests[2] == verified(tmp_path, FORMS[1])


def test_a_failure_keeps_finished_blobs_and_the_bundle_that_stands_there(
    tmp_path: Path, form: VolumeForm | None
) -> None:
    pack(tmp_path, form)
    before = files(tmp_path)
    big = tar_of({"big": bytes(range(256)) * 5000})
    engine = FakeEngine("20.10", cut_after=700_000)
    images = (("train", engine.add(BASE_LAYER, big)),)
    with pytest.raises(EngineError):
        pack(tmp_path, form, engine, images=images)
    assert files(tmp_path) == before
    engine.cut_after = None
    pack(tmp_path, form, engine, images=images)
    verified(tmp_path, form)


def test_a_tarball_that_was_damaged_is_not_copied_from(tmp_path: Path) -> None:
    pack(tmp_path, None)
    data = bytearray((tmp_path / "b.tar").read_bytes())
    data[600] ^= 1
    (tmp_path / "b.tar").write_bytes(data)
    pack(tmp_path, None)
    verified(tmp_path, None)


def test_a_damaged_signature_or_tail_means_packing_anew(tmp_path: Path) -> None:
    pack(tmp_path, None)
    (tmp_path / "b.tar").write_bytes((tmp_path / "b.tar").read_bytes()[:-1])
    pack(tmp_path, None)
    verified(tmp_path, None)


def test_two_packs_at_once_are_refused(tmp_path: Path) -> None:
    target = TarTarget(tmp_path / "b.tar", None, NoProgress())
    with target.opened(), pytest.raises(ConfigError, match="writing here"):
        pack(tmp_path, None)


def test_volumes_killed_while_they_got_their_names_are_finished_by_the_next_pack(tmp_path: Path) -> None:
    form = VolumeForm(4096, 1)
    manifest = pack(tmp_path, form)
    state = tmp_path / "b.tar.partial"
    # As if it had been killed after the first rename: the rest and the list are still in the folder.
    shutil.move(tmp_path / "b.tar.volumes.json", state / "volumes.json")
    for path in sorted(tmp_path.glob("b.tar.0*"))[1:]:
        shutil.move(path, state / str(int(path.name[-4:])))
    settle_volumes(state, tmp_path / "b.tar.volumes.json")
    assert verified(tmp_path, form) == manifest


# The tar that grows.


def test_blobs_are_taken_up_by_the_next_writer(tmp_path: Path) -> None:
    tar = GrowingTar(tmp_path, None)
    blobs = [tar.write((data,)) for data in (A, B)]
    with (tmp_path / "1").open("ab") as file:
        file.write(b"half a blob that a kill left")
    again = GrowingTar(tmp_path, None)
    assert all(again.has(blob) for blob in blobs)
    third = again.write((C,))
    assert [b"".join(again.read(blob)) for blob in (*blobs, third)] == [A, B, C]


def test_a_blob_of_an_earlier_writer_that_changed_does_not_count(tmp_path: Path) -> None:
    tar = GrowingTar(tmp_path, None)
    first, second = tar.write((A,)), tar.write((B,))
    data = bytearray((tmp_path / "1").read_bytes())
    data[512] ^= 1
    (tmp_path / "1").write_bytes(data)
    again = GrowingTar(tmp_path, None)
    assert not again.has(first)
    assert again.has(second)


@pytest.mark.parametrize("part_size", [None, 1024])
def test_what_is_not_needed_is_cut_out(tmp_path: Path, part_size: int | None) -> None:
    tar = GrowingTar(tmp_path, part_size)
    blobs = [tar.write((data,)) for data in (A, B, C)]
    tar.keep_only((blobs[0], blobs[2]))
    assert [tar.has(blob) for blob in blobs] == [True, False, True]
    assert b"".join(tar.read(blobs[2])) == C
    space, size = tar.finish(())
    assert sum(path.stat().st_size for path in space.paths(size)) == size == 512 * (1 + 2 + 1 + 1)
    again = GrowingTar(tmp_path, part_size)
    assert [again.has(blob) for blob in blobs] == [True, False, True]


def test_another_volume_size_begins_anew(tmp_path: Path) -> None:
    blob = GrowingTar(tmp_path, 1024).write((A,))
    assert not GrowingTar(tmp_path, 2048).has(blob)


def test_a_stream_that_is_not_the_blob_leaves_nothing(tmp_path: Path) -> None:
    tar = GrowingTar(tmp_path, None)
    kept = tar.write((A,))
    for wrong in (B + b"x", B[:-1], C * len(B)):
        with pytest.raises(VerificationError):
            tar.write((wrong,), blob_of(B))
    assert (tmp_path / "1").stat().st_size == 512 + 1024
    assert tar.has(kept)


def test_the_same_bytes_twice_are_stored_once(tmp_path: Path) -> None:
    tar = GrowingTar(tmp_path, None)
    assert tar.write((A,)) == tar.write((A[:5], A[5:]))
    assert (tmp_path / "1").stat().st_size == 512 + 1024


def test_a_torn_line_of_the_record_costs_one_blob(tmp_path: Path) -> None:
    tar = GrowingTar(tmp_path, None)
    first, second = tar.write((A,)), tar.write((B,))
    record = tmp_path / "blobs.jsonl"
    record.write_text(record.read_text()[:-10])
    again = GrowingTar(tmp_path, None)
    assert (again.has(first), again.has(second)) == (True, False)
