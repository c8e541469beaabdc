"""Laws of frames. Cutting: whatever comes in, the frames joined are its bytes, none empty or too large, and
the cuts do not depend on how it arrived; normalised twice is normalised once. Indexes: dumping and parsing
is identity, any other bytes are refused. Bundles of large blobs: any flipped bit is refused.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kit.bundle.cut_frames import LARGE, cut_tar
from kit.bundle.frame_index import PIECE, Frame, dump_index, parse_index
from kit.bundle.manifest import Blob
from kit.bundle.normalise_tar import MTIME
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.tar_walk import pax_records
from kit.bundle.verify import verify_bundle
from kit.errors import VerificationError
from kit.progress import NoProgress
from tests.property.strategies import path_parts
from tests.unit.bundle.factories import local_tree, packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

pytestmark = pytest.mark.property

TIMES_AND_NAMES = {"mtime", "atime", "ctime", "uname", "gname", "LIBARCHIVE.creationtime"}
KINDS = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)
FORMATS: tuple[Literal[0, 1, 2], ...] = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
record_names = st.sampled_from(
    (
        b"mtime",
        b"atime",
        b"uname",
        b"LIBARCHIVE.creationtime",
        b"comment",
        b"SCHILY.xattr.user.x",
        b"SCHILY.xattr.security.capability",
        b"SCHILY.xattr.system.posix_acl_access",
        b"SCHILY.acl.access",
    )
)
values = st.binary(max_size=40) | st.just(bytes.fromhex("0100000200040000" + "00" * 12))
modes = st.sampled_from((0o644, 0o755, 0o4755, 0o2755, 0o1777, 0))
owners = st.sampled_from((0, 1000, 65_534, 1 << 28))
"""The last does not fit a field of octal digits."""
whiteouts = st.sampled_from((".wh.gone", ".wh..wh..opq"))


def pax_member(records: dict[bytes, bytes]) -> bytes:
    """Return the member that carries records, values of any bytes, as GNU tar and engines write them."""
    lines = []
    for key, value in records.items():
        rest = b" " + key + b"=" + value + b"\n"
        size = len(rest) + len(str(len(rest) + len(str(len(rest)))))
        lines.append(b"%d" % size + rest)
    payload = b"".join(lines)
    info = tarfile.TarInfo("./PaxHeaders.4711/x")
    info.type, info.size, info.mtime = tarfile.XHDTYPE, len(payload), 1_700_000_000
    return info.tobuf(tarfile.USTAR_FORMAT) + payload + bytes(-len(payload) % 512)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    """A header with its extensions and payload, as some writer might have made it."""
    info = tarfile.TarInfo("/".join(draw(st.lists(path_parts, max_size=30))) + draw(path_parts | whiteouts))
    info.type, info.mode = draw(st.sampled_from(KINDS)), draw(modes)
    info.mtime = draw(st.sampled_from((0, 1_700_000_000, 1_700_000_000.5)))
    info.uname = info.gname = draw(st.sampled_from(("", "root", "x" * 31)))
    info.uid, info.gid = draw(owners), draw(owners)
    info.devmajor, info.devminor = 1, draw(st.integers(0, 9))
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = "/".join(draw(st.lists(path_parts, min_size=1, max_size=30)))
    form = draw(st.sampled_from(FORMATS))
    payload = b""
    if info.type == tarfile.REGTYPE:
        payload = draw(st.binary(max_size=2000)) * draw(st.sampled_from((1, 1, 40, 1200)))
        info.size = len(payload)
    records = draw(st.dictionaries(record_names, values, max_size=3))
    if form == tarfile.GNU_FORMAT and records:
        return _after_records(info, records) + payload + bytes(-len(payload) % 512)
    return info.tobuf(form, "utf-8", "surrogateescape") + payload + bytes(-len(payload) % 512)


def _after_records(info: tarfile.TarInfo, records: dict[bytes, bytes]) -> bytes:
    """Return a head whose long names are records too: GNU's long names and records go in no one head."""
    names = {b"path": info.name.encode(), b"linkpath": info.linkname.encode()}
    info.name, info.linkname = "short", "short" if info.linkname else ""
    return pax_member({**records, **{key: value for key, value in names.items() if value}}) + info.tobuf(
        tarfile.GNU_FORMAT
    )


tars = st.lists(members(), max_size=12).map(b"".join)
endings = st.sampled_from((b"", bytes(1024), bytes(10_240), b"no tar at all", bytes(1024) + b"x" * 700))
arrivals = st.sampled_from((1, 100, 511, 512, 4096, 1 << 20))


def arriving(data: bytes, step: int) -> list[bytes]:
    step = max(step, len(data) // 3000)
    return [data[start : start + step] for start in range(0, len(data), step)]


@settings(deadline=None)
@given(tars, endings, arrivals)
def test_frames_joined_are_the_bytes_that_came(tar: bytes, ending: bytes, step: int) -> None:
    data = tar + ending
    frames = list(cut_tar(arriving(data, step)))
    assert b"".join(frames) == data
    assert frames == list(cut_tar((data,)))
    assert all(0 < len(frame) <= PIECE for frame in frames)


@settings(deadline=None)
@given(tars, st.data())
def test_a_tar_that_is_cut_off_or_damaged_loses_nothing(tar: bytes, data: st.DataObject) -> None:
    assume(tar)
    place = data.draw(st.integers(0, len(tar) - 1))
    damaged = tar[:place] + bytes([tar[place] ^ data.draw(st.integers(1, 255))]) + tar[place + 1 :]
    cut = tar[:place]
    assert b"".join(cut_tar((damaged,))) == damaged
    assert b"".join(cut_tar((cut,))) == cut
    assert sum(map(len, cut_tar((damaged,), normalise=True))) <= len(damaged)


@settings(deadline=None)
@given(tars, endings)
def test_normalising_twice_is_normalising_once(tar: bytes, ending: bytes) -> None:
    once = b"".join(cut_tar((tar + ending,), normalise=True))
    assert b"".join(cut_tar((once,), normalise=True)) == once


@settings(deadline=None)
@given(tars)
def test_a_normalised_tar_differs_in_times_and_names_of_users_alone(tar: bytes) -> None:
    normal = b"".join(cut_tar((tar + bytes(1024),), normalise=True))
    assert [_said(member) for member in _opened(normal)] == [
        {**_said(member), "mtime": MTIME, "uname": "", "gname": ""} for member in _opened(tar + bytes(1024))
    ]
    assert not any(TIMES_AND_NAMES & set(member.pax_headers) for member in _opened(normal))


def _opened(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as opened:
        return opened.getmembers()


def _said(member: tarfile.TarInfo) -> dict[str, object]:
    """Return all that a tar says of a member; of the places in the tar nothing."""
    kept = {key: value for key, value in member.pax_headers.items() if key not in TIMES_AND_NAMES}
    return {**member.get_info(), "chksum": 0, "pax": kept}


@given(st.binary(max_size=200))
def test_any_bytes_are_records_or_none(data: bytes) -> None:
    found = pax_records(data)
    assert found is None or data.startswith(b"".join(record for record, _, _ in found))


digests = st.binary(min_size=32, max_size=32)
sizes = st.integers(1, PIECE)
frame_lists = st.lists(st.builds(Frame, sizes, sizes, digests, digests), max_size=8)


def blob_and_size(frames: list[Frame]) -> tuple[Blob, int]:
    stored = sum(frame.stored_size for frame in frames)
    return Blob("sha256:" + "0" * 64, stored), sum(frame.plain_size for frame in frames)


@given(frame_lists, st.data())
def test_an_index_is_read_back_and_no_other_bytes_pass_for_it(
    frames: list[Frame], data: st.DataObject
) -> None:
    whole, (blob, plain) = dump_index(frames), blob_and_size(frames)
    assert list(parse_index(whole, blob, plain)) == frames
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    try:
        other = parse_index(changed, blob, plain)
    except VerificationError:
        return
    assert list(other) != frames


@given(st.binary(max_size=400))
def test_any_bytes_are_an_index_or_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_index(data, Blob("sha256:" + "0" * 64, 7), 7)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> BundleSource:
    folder = tmp_path_factory.mktemp("large")
    noise = bytes(range(256)) * ((PIECE >> 8) + 9)
    engine = FakeEngine()
    image = engine.add(tar_of({"large": noise, "a": b"1" * LARGE, "b": b"text"}), tar_of({"c": b"x"}))
    tree = local_tree(folder / "model", {"w.safetensors": noise + b"!", "config.json": b"{}"})
    return packed_bundle(folder, engine, images=(("train", image),), trees=(tree,))


def test_the_bundle_of_the_flips_is_whole_and_has_indexes(large: BundleSource) -> None:
    report = verify_bundle(large, NoProgress(), deep=True)
    assert report.frames >= 5
    assert report.deep_layers == 2


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_a_bundle_with_frames_is_refused(large: BundleSource, data: st.DataObject) -> None:
    bundle = Path(large.where)
    kept = sorted(path for path in bundle.rglob("*") if path.is_file() and "partial" not in path.parts)
    path = data.draw(st.sampled_from(kept))
    place, bit = data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7))
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        for value in (byte ^ (1 << bit), byte):
            file.seek(place)
            file.write(bytes([value]))
            file.flush()
            if value == byte:
                continue
            with pytest.raises(VerificationError):
                verify_bundle(open_bundle(bundle), NoProgress())
