"""What real tar leaves out of a root made of Debian's packages."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from kit.images.debootstrap_root import tar_argv

KEPT = (
    "usr/share/doc/bash/copyright",
    "usr/share/doc/libgcc-s1",
    "usr/share/common-licenses/GPL-3",
    "var/lib/dpkg/status",
    "bin/sh",
)
LEFT_OUT = (
    "usr/share/doc/bash/README.Debian.gz",
    "usr/share/doc/bash/changelog.gz",
    "usr/share/doc/bash/contrib/copy",
    "usr/share/doc/bash/examples/copyright",
    "usr/share/man/man1/bash.1.gz",
    "var/lib/dpkg/status-old",
    "etc/hostname",
    "tmp/x",
)
BARE = (
    "usr/bin/perl",
    "usr/lib/x86_64-linux-gnu/perl-base/strict.pm",
    "usr/share/zoneinfo/UTC",
    "var/lib/dpkg/info/bash.list",
)


def _tar(folder: Path, names: tuple[str, ...], *, bare: bool) -> set[str]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    data = subprocess.run(tar_argv(str(folder), bare=bare), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name.removeprefix("./") for member in tar if not member.isdir()}


def test_a_bare_root_cannot_install_and_says_what_is_installed(tmp_path: Path) -> None:
    assert _tar(tmp_path, (*BARE, *KEPT), bare=True) == set(KEPT)
    assert _tar(tmp_path, (), bare=False) == {*BARE, *KEPT}


def test_licences_stay_and_what_nobody_reads_goes(tmp_path: Path) -> None:
    for name in (*KEPT, *LEFT_OUT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("libgcc-s1"):
            path.symlink_to("gcc-12-base")
        else:
            path.write_text("x", encoding="utf-8")
    data = subprocess.run(tar_argv(str(tmp_path)), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name.removeprefix("./") for member in tar if not member.isdir()}
    assert found == set(KEPT)
