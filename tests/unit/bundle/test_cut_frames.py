from __future__ import annotations

import io
import random
import tarfile

import pytest

from kit.bundle.cut_frames import LARGE, LEAST, MOST, cut_tar
from kit.bundle.frame_index import PIECE
from kit.bundle.normalise_tar import MTIME
from tests.unit.bundle.fake_engine import tar_of

NOISE = random.Random(1)
SMALL = {f"pkg/{place:04}.py": NOISE.randbytes(NOISE.randrange(20_000)) for place in range(1000)}


def frames(data: bytes, *, normalise: bool = False) -> list[bytes]:
    return list(cut_tar((data,), normalise=normalise))


def old_tar(files: dict[str, bytes], form: int, mtime: float = 1_700_000_000.25) -> bytes:
    """A tar with times, users' names, a long name and a file of extended attributes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname, info.gname = len(data), mtime, "builder", "staff"
            info.uid = info.gid = 1000
            if form == tarfile.PAX_FORMAT:
                info.pax_headers = {"SCHILY.xattr.user.note": "kept", "atime": f"{mtime + 7}"}
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


FILES = {"a": b"first", "b" * 150 + "/" + "c" * 120: b"long name", "d/large": bytes(LARGE + 700)}


@pytest.mark.parametrize("step", [1 << 20, 511, 7])
def test_the_cuts_do_not_depend_on_how_the_bytes_arrive(step: int) -> None:
    data = old_tar({**FILES, "d/large": b""}, tarfile.GNU_FORMAT)
    pieces = (data[start : start + step] for start in range(0, len(data), step))
    assert list(cut_tar(pieces)) == frames(data)


def test_small_neighbours_share_frames_of_about_a_mebibyte() -> None:
    found = frames(tar_of(SMALL))
    assert b"".join(found) == tar_of(SMALL)
    assert all(LEAST <= len(frame) < MOST + LARGE + 1024 for frame in found[:-1])
    assert 5 <= len(found) <= 20


@pytest.mark.parametrize("change", ["longer", "other", "gone", "new"])
def test_one_changed_file_changes_one_or_two_frames(change: str) -> None:
    changed = dict(SMALL)
    if change == "gone":
        del changed["pkg/0500.py"]
    elif change == "new":
        changed = dict(sorted({**changed, "pkg/0500a.py": b"new"}.items()))
    else:
        changed["pkg/0500.py"] = b"x" * (len(SMALL["pkg/0500.py"]) + 5000 * (change == "longer"))
    assert len(set(frames(tar_of(changed))) - set(frames(tar_of(SMALL)))) <= 2


def test_a_large_file_is_cut_from_its_own_start() -> None:
    large = NOISE.randbytes(2 * PIECE + 1000)
    found = frames(tar_of({"one": b"1", "large": large, "two": b"2"}))
    assert found[1:4] == [large[:PIECE], large[PIECE : 2 * PIECE], large[2 * PIECE :] + bytes(24)]
    moved = frames(tar_of({"zero": bytes(777), "large": large}))
    assert set(found[1:4]) <= set(moved)


def test_what_is_no_tar_is_cut_every_four_mebibytes() -> None:
    data = NOISE.randbytes(2 * PIECE + 5)
    assert frames(data) == frames(data, normalise=True) == [data[:PIECE], data[PIECE : 2 * PIECE], data[-5:]]
    assert frames(b"") == []


def test_bytes_after_the_end_are_kept() -> None:
    data = tar_of({"a": b"first"}) + bytes(10_240) + b"trailing"
    assert b"".join(frames(data)) == data == b"".join(frames(data, normalise=True))


def test_many_long_headers_do_not_make_a_frame_too_large() -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"SCHILY.xattr.user.note": "y" * 1_900_000}
    data = b"".join(info.tobuf(tarfile.PAX_FORMAT) for _ in range(4))
    found = frames(data)
    assert b"".join(found) == data
    assert max(map(len, found)) <= PIECE


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_two_builds_at_other_times_by_other_users_are_the_same_when_normalised(form: int) -> None:
    names = FILES if form != tarfile.USTAR_FORMAT else {"a": b"first", "d/large": bytes(LARGE + 700)}
    one, two = old_tar(names, form), old_tar(names, form, mtime=1_800_000_000.75)
    assert one != two
    normal = b"".join(frames(one, normalise=True))
    assert normal == b"".join(frames(two, normalise=True))
    assert normal == b"".join(frames(normal, normalise=True))
    with tarfile.open(fileobj=io.BytesIO(normal)) as tar:
        for member, (name, data) in zip(tar.getmembers(), names.items(), strict=True):
            file = tar.extractfile(member)
            assert file is not None
            assert (member.name, file.read()) == (name, data)
            assert (member.mtime, member.uname, member.gname, member.uid) == (MTIME, "", "", 1000)
            wanted = {"SCHILY.xattr.user.note": "kept"} if form == tarfile.PAX_FORMAT else {}
            assert wanted.items() <= member.pax_headers.items()
            assert not {"mtime", "atime"} & set(member.pax_headers)


def test_records_of_times_alone_are_dropped_whole() -> None:
    info = tarfile.TarInfo("file")
    info.mtime = 1_700_000_000.5
    normal = b"".join(frames(info.tobuf(tarfile.PAX_FORMAT), normalise=True))
    assert normal == frames(tar_of({"file": b""}))[0][:512]


def test_a_size_beyond_the_header_is_taken_from_its_records() -> None:
    info = tarfile.TarInfo("file")
    info.pax_headers = {"size": "3000"}
    data = info.tobuf(tarfile.PAX_FORMAT) + tarfile.TarInfo("within").tobuf() * 6
    # What follows is payload, although it looks like headers: nothing of it may change.
    assert b"".join(frames(data, normalise=True))[-3072:] == data[-3072:]
