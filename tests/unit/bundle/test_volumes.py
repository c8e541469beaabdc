"""Volumes: the list, what is wrong with a set, and bringing back what is lost."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.recover import recover_volumes
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.bundle.verify_volumes import naming_volumes, verify_parity
from kit.bundle.volumes import (
    MEDIA,
    Volume,
    VolumeForm,
    VolumeList,
    dump_volumes,
    parse_size,
    parse_volumes,
    volume_number,
)
from kit.errors import ConfigError, VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import as_tarball, local_tree, packed_bundle

NAME = "b.tar"
WEIGHTS = {"w.safetensors": random.Random(1).randbytes(240_000)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle as sets of twelve or more volumes: without parity and with 1 and 2 of it."""
    folder = tmp_path_factory.mktemp("whole")
    tree = local_tree(folder / "model", WEIGHTS)
    source = packed_bundle(folder, images=(), trees=(tree,))
    size = as_tarball(source, folder / "one.tar").stat().st_size
    each = -(-size // 12 // 512) * 512
    for parity in (0, 1, 2):
        (folder / str(parity)).mkdir()
        as_tarball(source, folder / str(parity) / NAME, VolumeForm(each, parity))
    return folder


@pytest.fixture
def place(request: pytest.FixtureRequest, whole: Path, tmp_path: Path) -> Path:
    """A copy of a set, with as much parity as the test's parameter says."""
    return Path(shutil.copytree(whole / str(getattr(request, "param", 1)), tmp_path / "set"))


def with_parity(count: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", [count], indirect=True)


def verify(place: Path) -> None:
    path = place / f"{NAME}.volumes.json"
    with naming_volumes(path, NoProgress()):
        verify_bundle(open_bundle(path), NoProgress())
        verify_parity(path, NoProgress())


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}


def volume(place: Path, number: int, kind: str = "") -> Path:
    return place / f"{NAME}.{kind}{number:04}"


def test_volumes_are_the_tarball_cut(whole: Path, place: Path) -> None:
    joined = b"".join(volume(place, number).read_bytes() for number in range(1, 13))
    assert joined == (whole / "one.tar").read_bytes()
    verify(place)


@pytest.mark.parametrize(
    "name", [f"{NAME}.0001", f"{NAME}.0012", f"{NAME}.p0001", f"{NAME}.volumes.json", NAME, ""]
)
def test_a_set_is_opened_by_any_of_its_files_or_its_folder(whole: Path, place: Path, name: str) -> None:
    assert open_bundle(place / name).manifest == open_bundle(whole / "one.tar").manifest


def test_one_lost_volume_of_twelve_is_recovered_with_parity_1(place: Path) -> None:
    before = contents(place)
    volume(place, 5).unlink()
    with pytest.raises(VerificationError, match=r"1 of 12 .*b\.tar\.0005 is missing") as caught:
        open_bundle(place)
    assert "kit recover" in caught.value.fix
    found = recover_volumes(place, NoProgress())
    assert found.rebuilt == (f"{NAME}.0005",)
    assert contents(place) == before
    verify(place)


@with_parity(0)
def test_without_parity_the_message_names_the_lost_volume(place: Path) -> None:
    volume(place, 5).unlink()
    with pytest.raises(VerificationError, match=r"1 of 12 .*b\.tar\.0005 is missing") as caught:
        open_bundle(place)
    assert caught.value.fix == "copy these again: b.tar.0005"
    with pytest.raises(VerificationError, match=r"b\.tar\.0005 is missing"):
        recover_volumes(place, NoProgress())


@with_parity(0)
def test_without_parity_that_is_said(place: Path) -> None:
    volume(place, 5).unlink()
    with pytest.raises(VerificationError, match="1 lost, and the set was made without parity"):
        open_bundle(place)


@pytest.mark.parametrize("parity", [0, 1])
def test_volumes_in_each_others_place_are_not_called_lost(whole: Path, tmp_path: Path, parity: int) -> None:
    place = Path(shutil.copytree(whole / str(parity), tmp_path / "set"))
    volume(place, 2).rename(place / "swap")
    volume(place, 3).rename(volume(place, 2))
    (place / "swap").rename(volume(place, 3))
    with pytest.raises(VerificationError, match=r"2 of 12 .*nothing is lost") as caught:
        open_bundle(place)
    assert caught.value.fix.startswith("kit recover -b")


def test_foreign_volumes_alone_are_not_counted_as_the_sets_own(place: Path) -> None:
    volume(place, 13).write_bytes(b"somebody else's")
    with pytest.raises(VerificationError, match=r"foreign volumes: b\.tar\.0013 is of another set"):
        open_bundle(place)
    volume(place, 1, "p").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"1 of 13 volumes cannot be used: b\.tar\.p0001"):
        verify_parity(place, NoProgress())


def test_many_lost_volumes_in_a_row_are_named_by_their_ends(place: Path) -> None:
    for number in (2, 5, 6, 7, 8, 9):
        volume(place, number).unlink()
    with pytest.raises(VerificationError) as caught:
        open_bundle(place)
    assert caught.value.what.endswith("b.tar.0005 to b.tar.0009 are missing; b.tar.0002 is missing")
    assert caught.value.fix == "copy these again: b.tar.0002, b.tar.0005 to b.tar.0009"


@with_parity(2)
@pytest.mark.parametrize("lost", [("0001", "0012"), ("0003", "p0002"), ("p0001", "p0002"), ("0007", "0008")])
def test_any_two_lost_volumes_are_recovered_with_parity_2(place: Path, lost: tuple[str, str]) -> None:
    before = contents(place)
    for suffix in lost:
        (place / f"{NAME}.{suffix}").unlink()
    recover_volumes(place, NoProgress())
    assert contents(place) == before


@with_parity(2)
def test_more_than_parity_brings_back_is_named_and_nothing_changes(place: Path) -> None:
    for number in (1, 2, 3):
        volume(place, number).unlink()
    before = contents(place)
    with pytest.raises(VerificationError) as caught:
        recover_volumes(place, NoProgress())
    assert caught.value.fix == "copy these again: b.tar.0001, b.tar.0002, b.tar.0003"
    assert contents(place) == before


@with_parity(0)
def test_everything_that_is_wrong_is_named_at_once(place: Path) -> None:
    volume(place, 1).unlink()
    two, three = volume(place, 2).read_bytes(), volume(place, 3).read_bytes()
    volume(place, 2).write_bytes(three)
    volume(place, 3).write_bytes(two)
    volume(place, 4).write_bytes(b"\xff" * len(two))
    volume(place, 5).write_bytes(volume(place, 5).read_bytes()[:-1])
    volume(place, 6).write_bytes(b"x" + volume(place, 6).read_bytes()[1:])
    volume(place, 13).write_bytes(two)
    with pytest.raises(VerificationError) as caught:
        open_bundle(place)
    for words in (
        "0001 is missing",
        "0002 is b.tar.0003 of this set, renamed",
        "0003 is b.tar.0002 of this set, renamed",
        "0004 is of another set",
        "0005 is damaged",
        "0006 is damaged",
        "0013 is of another set: this one has 12 volumes",
    ):
        assert words in caught.value.what
    assert "0007" not in caught.value.what


@with_parity(0)
def test_damage_in_the_middle_of_a_volume_is_named_when_verified(place: Path) -> None:
    path = place / f"{NAME}.volumes.json"
    size = VolumeForm(parse_volumes(path.read_bytes(), "").form.volume_size, 0).volume_size
    for number in (4, 9):
        data = bytearray(volume(place, number).read_bytes())
        data[size // 2] ^= 1
        volume(place, number).write_bytes(data)
    with pytest.raises(VerificationError, match=r"2 of 12 .*0004 is damaged; b\.tar\.0009 is damaged"):
        verify(place)


def test_a_damaged_or_missing_parity_volume_is_noticed_when_verified(place: Path) -> None:
    parity = volume(place, 1, "p")
    parity.write_bytes(b"\0" * parity.stat().st_size)
    open_bundle(place)
    with pytest.raises(VerificationError, match="p0001 is"):
        verify(place)
    parity.unlink()
    with pytest.raises(VerificationError, match="p0001 is missing"):
        verify(place)
    recover_volumes(place, NoProgress())
    verify(place)


def test_renamed_volumes_get_their_names_back(place: Path) -> None:
    before = contents(place)
    volume(place, 2).rename(place / "swap")
    volume(place, 3).rename(volume(place, 2))
    (place / "swap").rename(volume(place, 3))
    volume(place, 7).rename(place / f"{NAME}.disc7")
    found = recover_volumes(place, NoProgress())
    assert found.renamed == (f"{NAME}.0002", f"{NAME}.0003", f"{NAME}.0007")
    assert contents(place) == before


def test_a_foreign_volume_is_set_aside_not_deleted(place: Path) -> None:
    before = contents(place)
    volume(place, 4).write_bytes(b"somebody else's")
    found = recover_volumes(place, NoProgress())
    assert (found.rebuilt, found.set_aside) == ((f"{NAME}.0004",), (f"{NAME}.0004",))
    after = contents(place)
    assert after.pop(f"{NAME}.0004.aside") == b"somebody else's"
    assert after == before


def test_a_dry_run_changes_nothing(place: Path) -> None:
    volume(place, 4).unlink()
    before = contents(place)
    assert recover_volumes(place, NoProgress(), dry_run=True).rebuilt == (f"{NAME}.0004",)
    assert contents(place) == before


def test_a_recovery_that_was_killed_is_done_again(place: Path) -> None:
    before = contents(place)
    volume(place, 4).unlink()
    (place / f"{NAME}.new.0004").write_bytes(b"half")
    recover_volumes(place, NoProgress())
    assert contents(place) == before


def test_a_list_that_lies_about_a_lost_volume_is_noticed(place: Path) -> None:
    path = place / f"{NAME}.volumes.json"
    listing = parse_volumes(path.read_bytes(), "")
    lie = Volume(blob_of(b"lie").digest, listing.volumes[3].head, listing.volumes[3].tail)
    volumes = (*listing.volumes[:3], lie, *listing.volumes[4:])
    path.write_bytes(dump_volumes(replace(listing, volumes=volumes)))
    volume(place, 4).unlink()
    with pytest.raises(VerificationError, match="not what the list says"):
        recover_volumes(place, NoProgress())
    assert not volume(place, 4).exists()
    assert not list(place.glob("*.new.*"))


def test_the_list_of_another_bundle_is_refused(place: Path) -> None:
    path = place / f"{NAME}.volumes.json"
    listing = parse_volumes(path.read_bytes(), "")
    path.write_bytes(dump_volumes(replace(listing, bundle=blob_of(b"other").digest)))
    with pytest.raises(VerificationError, match="volumes of another bundle"):
        open_bundle(place)


def test_a_missing_list_is_asked_for(place: Path) -> None:
    (place / f"{NAME}.volumes.json").unlink()
    for path in (place, volume(place, 1), place / NAME):
        with pytest.raises(VerificationError, match="list of the volumes is missing") as caught:
            open_bundle(path)
        assert "cat " in caught.value.fix


@pytest.mark.parametrize("other", ["other.tar.volumes.json", NAME, "older.tar"])
def test_several_bundles_in_a_folder_must_be_told_apart(place: Path, other: str) -> None:
    shutil.copy(place / f"{NAME}.volumes.json", place / other)
    with pytest.raises(ConfigError, match="several bundles") as caught:
        open_bundle(place)
    assert other in str(caught.value)
    open_bundle(volume(place, 1))


def test_nothing_to_recover_in_a_folder_or_a_whole_tarball(whole: Path) -> None:
    for name in ("bundle", "one.tar"):
        with pytest.raises(ConfigError, match="no volumes here"):
            recover_volumes(whole / name, NoProgress())


# The list alone.


def listed(count: int, parity: int) -> VolumeList:
    form = VolumeForm(512, parity)
    groups = -(-count // form.group_size(count))
    some = Volume(*(blob_of(text).digest for text in (b"a", b"b", b"c")))
    return VolumeList(blob_of(b"x").digest, 512 * count, form, (some,) * count, (some,) * (groups * parity))


@pytest.mark.parametrize(
    ("count", "parity"), [(1, 0), (1, 1), (12, 1), (254, 2), (255, 2), (1000, 3), (20_000, 1)]
)
def test_every_volume_has_one_group_of_at_most_256(count: int, parity: int) -> None:
    listing = listed(count, parity)
    assert parse_volumes(dump_volumes(listing), "") == listing
    members = [share for group in listing.groups for share in group]
    assert sorted(members) == list(range(len(listing.shares)))
    assert all(len(group) <= 256 for group in listing.groups)
    assert all(listing.group(share) == group for group in listing.groups for share in group)


@pytest.mark.parametrize("count", [1, 999, 1001, 12_345])
def test_names_sort_as_numbers_do(count: int) -> None:
    listing = listed(count, 1)
    names = [listing.suffix(share) for share in range(len(listing.shares))]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert all(volume_number("b.tar" + name) == ("b.tar", name) for name in names)


def test_any_changed_byte_of_a_list_is_refused() -> None:
    data = dump_volumes(listed(3, 1))
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(VerificationError):
            parse_volumes(changed, "x")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"[" * 100_000, b'{"form":{"volume_size":1e999}}', b"\xff", b'{"form":[]}'],
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match="not a list of volumes"):
        parse_volumes(data, "x")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4 << 30),
        ("4GiB", 4 << 30),
        ("4GB", 4_000_000_000),
        ("700 MB", 700_000_000 // 512 * 512),
        ("1.5M", 3 << 19),
        ("100000", 99_840),
        ("fat32", (1 << 32) - 512),
        ("DVD", MEDIA["dvd"] // 512 * 512),
    ],
)
def test_sizes_are_read_in_whole_blocks(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "4", "4X", "-1G", "1e9", "G", "0", "99999999999T", "4096\n4096"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no volume size"):
        parse_size(text)
