from __future__ import annotations

import io
import tarfile

from kit.images.added_files import write_added


def member(name: str, data: bytes = b"", mode: int = 0o644, mtime: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, mtime
    return info, data


def link(name: str, kind: bytes, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info, b""


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as written:
        for info, content in members:
            written.addfile(info, io.BytesIO(content))
    data.seek(0)
    return data


def added(whole: io.BytesIO, beneath: io.BytesIO) -> dict[str, bytes]:
    sink = io.BytesIO()
    write_added(whole, beneath, sink)
    sink.seek(0)
    with tarfile.open(fileobj=sink) as read:
        files = ((info.name, read.extractfile(info) if info.isreg() else None) for info in read)
        return {name: file.read() if file else b"" for name, file in files}


def test_what_is_new_or_other_comes_along_and_times_do_not_count() -> None:
    beneath = tar(member("bin/sh", b"sh", mtime=1), member("etc/conf", b"old"), member("only/here", b"x"))
    whole = tar(member("./bin/sh", b"sh", mtime=2), member("./etc/conf", b"new"), member("./bin/gcc", b"gcc"))
    assert added(whole, beneath) == {"./etc/conf": b"new", "./bin/gcc": b"gcc"}


def test_modes_and_owners_count() -> None:
    other = member("a", b"a")
    other[0].uid = 5
    assert added(tar(other), tar(member("a", b"a"))) == {"a": b"a"}
    assert added(tar(member("a", b"a", 0o755)), tar(member("a", b"a"))) == {"a": b"a"}


def test_the_type_that_engines_write_into_modes_does_not_count() -> None:
    assert added(tar(member("a", b"a", 0o644)), tar(member("a", b"a", 0o100644))) == {}


def test_folders_that_are_there_stay_behind() -> None:
    assert added(tar(folder("./usr/"), folder("./opt/", 0o700)), tar(folder("usr"), folder("opt"))) == {
        "./opt": b""
    }


def test_a_symbolic_link_is_what_it_leads_to() -> None:
    beneath = tar(link("bin", tarfile.SYMTYPE, "usr/bin"), link("lib", tarfile.SYMTYPE, "usr/lib"))
    whole = tar(link("bin", tarfile.SYMTYPE, "usr/bin"), link("lib", tarfile.SYMTYPE, "usr/lib32"))
    assert added(whole, beneath) == {"lib": b""}


def test_a_hard_link_is_the_file_that_it_names() -> None:
    there = (member("perl", b"p"), link("perl5", tarfile.LNKTYPE, "perl"))
    turned = (member("perl5", b"p"), link("perl", tarfile.LNKTYPE, "perl5"))
    assert added(tar(*turned), tar(*there)) == {}
    newer = (member("./perl", b"q"), link("./perl5", tarfile.LNKTYPE, "./perl"))
    assert list(added(tar(*newer), tar(*there))) == ["./perl", "./perl5"]


def test_a_long_name_stays_whole() -> None:
    name = "usr/" + "x" * 200
    assert added(tar(member(name, b"x")), tar()) == {name: b"x"}
