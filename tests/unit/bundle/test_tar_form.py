from __future__ import annotations

import io
import tarfile

import pytest

from kit.bundle.tar_form import END, padded, read_size, tar_header
from kit.errors import VerificationError

NAME = "blobs/sha256/" + "a" * 64
GIB = 1 << 30


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 8 * GIB - 1, 8 * GIB, 700 * GIB, 2**63 - 1])
def test_headers_are_what_tar_reads(size: int) -> None:
    info = tarfile.TarInfo.frombuf(tar_header(NAME, size), "ascii", "strict")
    assert (info.name, info.size, info.mode, info.type) == (NAME, size, 0o444, tarfile.REGTYPE)
    assert (info.uid, info.gid, info.mtime, info.uname, info.gname) == (0, 0, 0, "", "")
    assert read_size(tar_header(NAME, min(size, 500)), NAME, 500, "x") == min(size, 500)


def test_an_archive_of_members_is_read_by_tar() -> None:
    data = tar_header("kit.json", 3) + b"abc".ljust(padded(3), b"\0") + END
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile("kit.json")
        assert member is not None
        assert member.read() == b"abc"


def _header(**fields: object) -> bytes:
    info = tarfile.TarInfo("kit.json")
    info.size, info.mode = 3, 0o444
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(format=tarfile.GNU_FORMAT)[:512]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\0" * 512,
        b"\xff" * 512,
        tar_header("kit.json", 501),
        tar_header("index.json", 3),
        tar_header("../kit.json", 3),
        tar_header("kit.json", 3)[:-1] + b"x",
        _header(),
        _header(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _header(type=tarfile.LNKTYPE, linkname="index.json"),
        _header(type=tarfile.CHRTYPE),
        _header(type=tarfile.FIFOTYPE),
        _header(type=tarfile.DIRTYPE),
        _header(mode=0o4755),
        _header(uid=1000),
        _header(mtime=1),
    ],
)
def test_any_other_header_is_refused(header: bytes) -> None:
    with pytest.raises(VerificationError, match="not a tarball as kit writes it"):
        read_size(header, "kit.json", 500, "x")
