"""Layers that would lead an unpacker astray: refused when packed, and by `kit verify --deep`.

Classes of CVE-2025-4517 and CVE-2018-20685 (names that leave their folder), CVE-2024-3727 (digests
that are paths), CVE-2020-27833 and hard-link escapes (links followed while unpacking), CVE-2017-14992
(bombs).
"""

from __future__ import annotations

import struct
import tarfile
import tracemalloc
from typing import TYPE_CHECKING, Any, cast

import pytest
import zstandard

from kit.bundle.digest import blob_of
from kit.bundle.folder_target import FolderTarget
from kit.bundle.frame_index import Frame, dump_index
from kit.bundle.layer_law import LayerLaw, check_layer_tar
from kit.bundle.pack import pack_bundle
from kit.bundle.source import open_bundle
from kit.bundle.tar_walk import TarWalk
from kit.bundle.verify import verify_bundle
from kit.errors import KitError, VerificationError
from kit.progress import NoProgress
from tests.hostile.forge import forged_image, member, tar_of_members
from tests.unit.bundle.factories import pack_request
from tests.unit.bundle.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.tar_walk import Head

LNK, SYM, CHR, BLK, FIFO, DIR = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.DIRTYPE,
)


def pax(**records: str) -> dict[str, Any]:
    return {"pax_headers": records}


def raw_pax(payload: bytes, kind: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return member("pax", payload, type=kind)


def sparse() -> bytes:
    """A GNU sparse member of 100 GB in 512 bytes."""
    header = bytearray(tarfile.TarInfo("sparse").tobuf(format=tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386:410] = b"%011o\0" % 0 + b"%011o\0" % 512
    header[483:495] = b"\x80" + (100 << 30).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 256)
    return bytes(header) + bytes(1024)


def longer_than_a_path() -> bytes:
    """Folders and links so long that realpath() gives up on them, and then a link out behind them."""
    folder, steps, path, members = "d" * 247, "abcdefghijklmnop", "", []
    for step in steps:
        members += [member(f"{path}{folder}", type=DIR), member(f"{path}{step}", type=SYM, linkname=folder)]
        path += folder + "/"
    last = "/".join(steps) + "/" + "l" * 254
    members.append(member(last, type=SYM, linkname="../" * len(steps)))
    members.append(member("escape", type=SYM, linkname=last + "/../../../../../../../etc"))
    return tar_of_members(*members, member("flag", type=LNK, linkname="escape/passwd"))


LAWLESS: dict[str, bytes] = {
    "name above": tar_of_members(member("../evil", b"x")),
    "name above, inside": tar_of_members(member("a/../../evil", b"x")),
    "name absolute and above": tar_of_members(member("/../evil", b"x")),
    "name of dots (CVE-2018-20685)": tar_of_members(member("..", type=DIR)),
    "no name": tar_of_members(member("", b"x")),
    "long name above, PAX": tar_of_members(member("plain", b"x", **pax(path="../" * 80 + "evil"))),
    "long name above, GNU": tar_of_members(member("../" * 80 + "evil", b"x"), form=tarfile.GNU_FORMAT),
    "name above behind a ustar prefix": tar_of_members(
        member("d/" * 30 + "../" * 31 + "evil", b"x"), form=tarfile.USTAR_FORMAT
    ),
    "hard link above": tar_of_members(member("a", type=LNK, linkname="../../etc/shadow")),
    "hard link above, PAX": tar_of_members(member("a", type=LNK, **pax(linkpath="../../etc/shadow"))),
    "hard link through a link": tar_of_members(
        member("up", type=SYM, linkname="../../.."), member("a", type=LNK, linkname="up/etc/shadow")
    ),
    "file through a link out": tar_of_members(
        member("up", type=SYM, linkname="/"), member("up/etc/cron.d/evil", b"x")
    ),
    "file through a relative link out": tar_of_members(
        member("a/b", type=SYM, linkname="../../.."), member("a/b/etc/evil", b"x")
    ),
    "link on top of a link (CVE-2025-4517)": tar_of_members(
        member("a", type=SYM, linkname="../x"), member("a/b", type=SYM, linkname=".."), member("a/b/c", b"x")
    ),
    "a chain of links": tar_of_members(
        member("a", type=SYM, linkname="b"), member("b", type=SYM, linkname="/"), member("a/etc/evil", b"x")
    ),
    "above, behind a link that stays inside": tar_of_members(
        member("d/e/f", type=DIR),
        member("top", type=SYM, linkname="d/e/f/../../.."),
        member("out", type=SYM, linkname="top/.."),
        member("out/evil", b"x"),
    ),
    "links in a circle": tar_of_members(
        member("a", type=SYM, linkname="b"), member("b", type=SYM, linkname="a"), member("a/c", b"x")
    ),
    "longer than a path may be (CVE-2025-4517)": longer_than_a_path(),
    "a hard link to a link, followed": tar_of_members(
        member("a", type=SYM, linkname=".."), member("b", type=LNK, linkname="a"), member("b/evil", b"x")
    ),
    "a link in a folder's place": tar_of_members(
        member("b/a", type=SYM, linkname="/"), member("b", type=SYM, linkname="a"), member("b/a/evil", b"x")
    ),
    "a link, then a folder of its name": tar_of_members(
        member("a", type=SYM, linkname="b"), member("a", type=DIR), member("a/x", b"x")
    ),
    "a file below a file": tar_of_members(member("a", b"x"), member("a/b", b"x")),
    "a file for the root": tar_of_members(member(".", b"x")),
    "a file twice, once through a link": tar_of_members(
        member("lib", type=SYM, linkname="usr/lib"), member("usr/lib/a", b"x"), member("lib/a", b"y")
    ),
    "a file twice": tar_of_members(member("etc/passwd", b"a"), member("./etc//passwd", b"b")),
    "a link, then a file of its name": tar_of_members(
        member("etc/passwd", type=SYM, linkname="/proc/self/root"), member("etc/passwd", b"b")
    ),
    "a disk": tar_of_members(member("dev/sda", type=BLK, devmajor=8, devminor=0)),
    "memory": tar_of_members(member("dev/mem", type=CHR, devmajor=1, devminor=1)),
    "a pipe with bytes": tar_of_members(member("pipe", b"x" * 10, type=FIFO)),
    "a member of no known type": tar_of_members(member("odd", b"x", type=b"Z")),
    "GNU sparse": sparse(),
    "PAX sparse": tar_of_members(member("s", b"x", pax_headers={"GNU.sparse.major": "1"})),
    "a name for all that follow": tar_of_members(raw_pax(b"17 path=../evil0\n", b"g"), member("a", b"x")),
    "PAX records that are none": tar_of_members(raw_pax(b"99 path=x\n"), member("a", b"x")),
    "a PAX record twice": tar_of_members(raw_pax(b"10 path=a\n10 path=b\n"), member("a", b"x")),
    "a PAX name with a zero": tar_of_members(raw_pax(b"13 path=a\0b/c\n"), member("a", b"x")),
    "a PAX size that is none": tar_of_members(raw_pax(b"11 size=-1\n"), member("a", b"x")),
    "larger than the tar": tar_of_members(member("big", b"x", size=1 << 40)),
    "cut off": tar_of_members(member("cut", b"x" * 5000))[:2048],
    "bytes after the end": tar_of_members(member("a", b"x")) + b"hidden" * 100,
    "no tar at all": b"#!/bin/sh\nrm -rf /\n" * 100,
    "a header that is none after a member": tar_of_members(member("a", b"x"))[:1024] + b"\1" * 512,
}


@pytest.mark.parametrize("plain", LAWLESS.values(), ids=LAWLESS)
def test_a_lawless_layer_is_refused_by_a_deep_look(tmp_path: Path, plain: bytes) -> None:
    source = open_bundle(forged_image(tmp_path / "bundle", plain))
    verify_bundle(source, NoProgress())
    with pytest.raises(VerificationError, match="what no layer should"):
        verify_bundle(source, NoProgress(), deep=True)


IN_PASSING = {"larger than the tar", "cut off", "bytes after the end", "no tar at all"}
IN_PASSING |= {"a header that is none after a member"}
"""Found by reading a tar to its end, which packing does not judge: nothing unpacks what is no member."""


@pytest.mark.parametrize("name", sorted(LAWLESS.keys() - IN_PASSING))
def test_a_lawless_layer_is_not_packed(tmp_path: Path, name: str) -> None:
    engine = FakeEngine("20.10")
    images = (("train", engine.add(LAWLESS[name].ljust(10_000, b"\0"))),)
    request = pack_request(engine, tmp_path, images=images, trees=())
    with pytest.raises(VerificationError, match="what no layer should"):
        pack_bundle(request, engine, FolderTarget(tmp_path / "bundle"), NoProgress())
    assert not (tmp_path / "bundle" / "kit.json").exists()


def test_more_members_than_any_layer_has_are_refused() -> None:
    law, walk = LayerLaw("x", most_members=2), TarWalk((tar_of_members(*map(member, "abc")),))
    for _ in range(2):
        law.head(cast("Head", walk.head()))
    with pytest.raises(VerificationError, match="'c' comes after more members"):
        law.head(cast("Head", walk.head()))


LAWFUL: dict[str, bytes] = {
    "links within": tar_of_members(
        member("usr/lib", type=DIR), member("lib", type=SYM, linkname="usr/lib"), member("lib/a", b"x")
    ),
    "links to links within": tar_of_members(
        member("a", type=SYM, linkname="./b/../c"),
        member("c/d", type=SYM, linkname=".."),
        member("c/d/x", b"x"),
    ),
    "a hard link to a link": tar_of_members(
        member("a", type=SYM, linkname="/proc/self/exe"), member("b", type=LNK, linkname="a")
    ),
    "links to the container's root": tar_of_members(
        member("etc/mtab", type=SYM, linkname="/proc/mounts"),
        member("var/run", type=SYM, linkname="../../run"),
    ),
    "hard links within": tar_of_members(
        member("./bin/a", b"x"), member("./bin/b", type=LNK, linkname="./bin/a")
    ),
    "what every container has": tar_of_members(
        member("dev/null", type=CHR, devmajor=1, devminor=3), member("run/initctl", type=FIFO)
    ),
    "hidden files": tar_of_members(member("etc/.wh.passwd"), member("x", type=CHR)),
    "folders twice": tar_of_members(member("./", type=DIR), member("a/", type=DIR), member("a/", type=DIR)),
    "names in any script": tar_of_members(member("usr/share/文件/" + "长" * 80, b"x")),
    "times and attributes": tar_of_members(
        member("bin/ping", b"x", pax_headers={"mtime": "1.5", "SCHILY.xattr.security.capability": "y"})
    ),
    "nothing": bytes(1024),
}


@pytest.mark.parametrize("plain", LAWFUL.values(), ids=LAWFUL)
def test_what_engines_write_is_accepted(plain: bytes) -> None:
    check_layer_tar((plain,), "x")


# Bombs and lies about sizes.

ZEROS = 128 << 20


def zeros(**options: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, **options)
    out = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    chunk = bytes(1 << 20)
    return b"".join(out.compress(chunk) for _ in range(ZEROS >> 20)) + out.flush()


BOMBS = {
    "more than it says": (zeros, {"plain_size": 1024}),
    "a window of 128 MB": (lambda: zeros(window_log=27), {"plain_size": ZEROS}),
    "no zstd": (b"\x28\xb5\x2f\xfd" + b"\xff" * 100, {}),
    "skippable frames alone": (struct.pack("<II", 0x184D2A50, 100) + bytes(100), {}),
    "a skippable frame larger than the blob": (struct.pack("<II", 0x184D2A50, 0xFFFFFFFF) + bytes(8), {}),
    "cut off": (zstandard.ZstdCompressor().compress(b"x" * 5000)[:-3], {}),
    "empty": (b"", {}),
}


@pytest.mark.parametrize(("stored", "lies"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_in_little_memory(
    tmp_path: Path, stored: bytes | Callable[[], bytes], lies: dict[str, int]
) -> None:
    stored = stored if isinstance(stored, bytes) else stored()
    source = open_bundle(forged_image(tmp_path / "bundle", tar_of_members(member("a", b"x")), stored, **lies))
    tracemalloc.start()
    try:
        with pytest.raises(VerificationError):
            verify_bundle(source, NoProgress(), deep=True)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def digest(data: bytes) -> bytes:
    return bytes.fromhex(blob_of(data).digest.removeprefix("sha256:"))


def test_an_index_that_promises_less_than_a_frame_holds_is_refused(tmp_path: Path) -> None:
    plain = tar_of_members(member("a", b"x"))
    bomb = zeros()
    frame = Frame(len(plain), len(bomb), digest(plain), digest(bomb))
    index = dump_index((frame,))
    lies = {"index": blob_of(index), "blobs": (index,)}
    source = open_bundle(forged_image(tmp_path / "bundle", plain, bomb, **lies))
    with pytest.raises(VerificationError):
        verify_bundle(source, NoProgress(), deep=True)


@pytest.mark.parametrize("form", ["containerd-gzip", "containerd-zstd"])
def test_a_bomb_out_of_the_engine_takes_little_memory(tmp_path: Path, form: str) -> None:
    plain = tar_of_members(member("zeros", bytes(ZEROS)))
    engine = FakeEngine(form)
    request = pack_request(engine, tmp_path, images=(("train", engine.add(plain)),), trees=())
    del plain
    tracemalloc.start()
    try:
        pack_bundle(request, engine, FolderTarget(tmp_path / "bundle"), NoProgress())
        assert tracemalloc.get_traced_memory()[1] < 96 << 20
    finally:
        tracemalloc.stop()


# What `docker save` could be made to say.

ARCHIVES = {
    "config above": {"manifest.json": b'[{"Config":"../../etc/passwd","Layers":[]}]'},
    "layers above": {
        "manifest.json": b'[{"Config":"c.json","Layers":["../../etc/passwd"]}]',
        "c.json": b"{}",
    },
    "manifest.json deep": {"manifest.json": b"[" * 200_000},
    "manifest.json of another kind": {"manifest.json": b'{"Config":1}'},
    "a huge number": {"manifest.json": b"[" + b"9" * 10_000 + b"]"},
    "nothing": {},
}


@pytest.mark.parametrize("files", ARCHIVES.values(), ids=ARCHIVES)
def test_a_lying_archive_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    engine = FakeEngine()
    image_id = engine.add(tar_of_members(member("a", b"x")), tag="train")
    archive = tar_of_members(*(member(name, data) for name, data in files.items()))
    engine.images = {key: (image, archive) for key, (image, _) in engine.images.items()}
    request = pack_request(engine, tmp_path, images=(("train", image_id),), trees=())
    with pytest.raises(KitError) as caught:
        pack_bundle(request, engine, FolderTarget(tmp_path / "bundle"), NoProgress())
    assert caught.value.exit_code in (3, 7)


def test_a_layer_that_is_a_link_out_of_the_archive_is_refused(tmp_path: Path) -> None:
    engine = FakeEngine("20.10")
    image_id = engine.add(tar_of_members(member("a", b"x" * 9000)), tag="train")
    image, archive = engine.images[image_id]
    name = next(line for line in archive.split(b"\0") if line.endswith(b"/layer.tar")).decode()
    config = archive[archive.index(b'{"os"') :].split(b"\0")[0]
    listing = b'[{"Config":"c.json","Layers":["%s"]}]' % name.encode()
    forged = tar_of_members(
        member(name, type=SYM, linkname="/etc/hostname"),
        member("c.json", config),
        member("manifest.json", listing),
    )
    engine.images = dict.fromkeys(engine.images, (image, forged))
    request = pack_request(engine, tmp_path, images=(("train", image_id),), trees=())
    with pytest.raises(KitError, match="missing"):
        pack_bundle(request, engine, FolderTarget(tmp_path / "bundle"), NoProgress())
