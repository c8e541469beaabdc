"""Laws of the bundle.

- Parsing what was dumped gives the same manifest, and dumping what was parsed the same bytes.
- Packing twice, anywhere and through any form of engine archive, gives the same kit.json.
- A bundle that is packed, written as a tarball and opened again is the same bundle.
- What `docker load` is given has the very layers that the engine saved.
- Any flipped byte, in either form of a signed bundle, is refused by opening or verifying.
- Nothing that a tarball says makes kit read or write outside of it.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kit.bundle.compress_layers import plain_layer
from kit.bundle.manifest import Manifest, dump_manifest
from kit.bundle.oci_layout import check_descriptions
from kit.bundle.parse_manifest import parse_manifest
from kit.bundle.sign import sign_bundle
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.tar_form import END, TAIL_ORDER, blob_name, fixed_files, padded, tail_chunks, tar_header
from kit.bundle.verify import verify_bundle
from kit.errors import ConfigError, VerificationError
from kit.hub.pin import Patterns, choose_paths, is_plain_path
from kit.progress import NoProgress
from tests.property.strategies import file_contents, layer_contents, manifests, paths
from tests.unit.bundle.factories import as_tarball, local_tree, packed_bundle
from tests.unit.bundle.fake_engine import FORMS, FakeEngine, tar_of
from tests.unit.signature.soft_keys import ed25519_key, sshsig

pytestmark = pytest.mark.property
some = settings(max_examples=25, deadline=None)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A fresh folder, in memory where the machine has such a place: a bundle is written through."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def packed(folder: Path, layers: list[bytes], files: dict[str, bytes], form: str = "25") -> BundleSource:
    engine = FakeEngine(form)
    image_id = engine.add(*(tar_of({"file": data}) for data in layers))
    tree = local_tree(folder / "model", files)
    return packed_bundle(folder, engine, images=(("train", image_id),), trees=(tree,))


@given(manifests)
def test_dumping_and_parsing_is_identity(manifest: object) -> None:
    data = dump_manifest(manifest)  # type: ignore[arg-type]
    again = parse_manifest(data)
    assert again == manifest
    assert dump_manifest(again) == data
    check_descriptions(again)


@given(manifests, st.data())
def test_a_manifest_with_a_changed_byte_is_refused_or_another(manifest: object, data: st.DataObject) -> None:
    whole = dump_manifest(manifest)  # type: ignore[arg-type]
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    try:
        other = parse_manifest(changed)
    except VerificationError:
        return
    assert other != manifest


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_manifest(data)


@given(manifests, st.binary(max_size=2000), st.integers(0, 1 << 40))
def test_what_describes_a_tarball_is_what_tar_reads(manifest: Manifest, lock: bytes, blocks: int) -> None:
    files = fixed_files(manifest, dump_manifest(manifest), lock, b"signature")
    data = b"".join(tail_chunks(files, blocks * 512))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    place = int(found.pop("kit.end")) - blocks * 512
    assert list(found) == list(TAIL_ORDER)
    assert found == files
    assert data[place : place + 512] == tar_header("kit.json", len(files["kit.json"]))
    assert data.endswith(END)
    assert all(is_plain_path(blob_name(blob.digest)) and padded(blob.size) >= 0 for blob in manifest.blobs)


@some
@given(layer_contents, file_contents, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_packing_twice_gives_equal_bytes(
    layers: list[bytes], files: dict[str, bytes], one: str, two: str
) -> None:
    with scratch() as first, scratch() as second:
        a, b = packed(Path(first), layers, files, one), packed(Path(second), layers, files, two)
        assert a.manifest_bytes == b.manifest_bytes
        assert packed(Path(first), layers, files, two).manifest_bytes == a.manifest_bytes
        one_tar, two_tar = (as_tarball(x, Path(f) / "b.tar") for x, f in ((a, first), (b, second)))
        assert one_tar.read_bytes() == two_tar.read_bytes()


@some
@given(layer_contents, file_contents)
def test_packing_then_unpacking_is_identity(layers: list[bytes], files: dict[str, bytes]) -> None:
    with scratch() as folder:
        as_tarball(packed(Path(folder), layers, files), Path(folder) / "b.tar")
        source = open_bundle(Path(folder) / "b.tar")
        verify_bundle(source, NoProgress())
        (image,), (tree,) = source.manifest.images, source.manifest.trees
        plain = [b"".join(plain_layer(source.read(layer.digest), layer, "x")) for layer in image.layers]
        assert plain == [tar_of({"file": data}) for data in layers]
        assert {file.path: b"".join(source.read(file.digest)) for file in tree.files} == files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    source = packed(folder, [b"layer" * 900, b"other"], {"config.json": b"{}", "w.safetensors": b"x" * 700})
    source = sign_bundle(folder / "bundle", lambda message: sshsig(ed25519_key(), message))
    as_tarball(source, folder / "bundle.tar")
    return folder


def _flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def _is_refused(path: Path) -> bool:
    try:
        verify_bundle(open_bundle(path), NoProgress())
    except VerificationError:
        return True
    return False


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_a_tarball_is_refused(whole: Path, data: st.DataObject) -> None:
    content = (whole / "bundle.tar").read_bytes()
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    with scratch() as folder:
        path = Path(folder) / "bundle.tar"
        path.write_bytes(_flipped(content, place, bit))
        assert _is_refused(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_a_folder_is_refused(whole: Path, data: st.DataObject) -> None:
    bundle = whole / "bundle"
    kept = [path for path in bundle.rglob("*") if path.is_file() and "partial" not in path.parts]
    path = data.draw(st.sampled_from(sorted(kept)))
    content = path.read_bytes()
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    path.unlink()
    path.write_bytes(_flipped(content, place, bit))
    try:
        assert _is_refused(bundle)
    finally:
        path.write_bytes(content)
    assert not _is_refused(bundle)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_tarball_cut_or_grown_anywhere_is_refused(whole: Path, data: st.DataObject) -> None:
    content = (whole / "bundle.tar").read_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    end = data.draw(st.integers(start, len(content)))
    extra = data.draw(st.binary(max_size=600))
    changed = content[:start] + extra + content[end:]
    assume(changed != content)
    with scratch() as folder:
        path = Path(folder) / "bundle.tar"
        path.write_bytes(changed)
        assert _is_refused(path)


@given(st.lists(st.text(max_size=20), max_size=5), st.lists(paths, max_size=3))
def test_no_chosen_path_escapes(wild: list[str], plain: list[str]) -> None:
    root = Path("/root/of/model")
    chosen: tuple[str, ...] = ()
    with suppress(ConfigError):
        chosen = choose_paths((*wild, *plain), Patterns(), "models.x").paths
    for path in chosen:
        assert (root / path).is_relative_to(root)
        assert ".." not in (root / path).parts
