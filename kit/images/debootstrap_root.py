"""Makes a root file system out of Debian's packages, for stacks without an upstream base image."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Protocol

from kit.data_files import data_folder
from kit.errors import TransferError, UnfitError, VerificationError
from kit.images.context import MTIME
from kit.images.debian_archive import release_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.images.stacks import Debootstrap

_CHUNK_BYTES = 1 << 20
_LAST_LINES = 12
# What a running system makes anew, what nobody reads in a container, and what names this machine.
_LEFT_OUT = (
    *("./dev/*", "./proc/*", "./sys/*", "./run/*", "./tmp/*"),
    *("./etc/hostname", "./etc/resolv.conf", "./etc/machine-id", "./etc/*-"),
    *("./var/cache/*", "./var/lib/apt/lists/*", "./var/log/*", "./var/lib/dpkg/*-old"),
    *("./usr/share/locale/*", "./usr/share/man/*", "./usr/share/info/*"),
    # Of a package's documentation all but `copyright`: it says under which licence it may be carried on.
    *("./usr/share/doc/*/[!c]*", "./usr/share/doc/*/c[!o]*", "./usr/share/doc/*/co[!p]*"),
    "./usr/lib/*/libpython3*.a",
    "./usr/lib/python3*/config-*/libpython3*.a",
)
# What a bare root goes without, too. Licences and dpkg's list stay: bills of materials are made of them.
_NOT_BARE = (
    *("./usr/bin/perl*", "./usr/lib/*/perl-base*", "./usr/share/perl*"),
    *("./usr/bin/apt*", "./usr/lib/apt", "./usr/lib/*/libapt-*", "./var/lib/dpkg/info/*"),
    *("./usr/lib/*/gconv", "./usr/share/zoneinfo", "./usr/lib/*/security", "./usr/lib/systemd"),
    *(
        "./usr/share/bash-completion",
        "./usr/share/lintian",
        "./usr/lib/python3*/test",
        "./usr/lib/python3*/pydoc_data",
    ),
)


class RootMaker(Protocol):
    """Makes root file systems."""

    def make(self, spec: Debootstrap, apt_mirror: str | None) -> Iterator[bytes]:
        """Yield the tar of a new root. Raises UnfitError or TransferError."""


def debootstrap_argv(spec: Debootstrap, folder: str, apt_mirror: str | None) -> tuple[str, ...]:
    """Return the command that makes the root in a folder.

    Debian's tools take the day from the variable where they would write today's, into /etc/shadow for one.
    """
    return (
        *("env", f"SOURCE_DATE_EPOCH={MTIME}"),
        *("debootstrap", "--variant=minbase", f"--include={','.join(spec.packages)}"),
        *(spec.suite, folder),
        *((apt_mirror,) if apt_mirror else ()),
    )


def tar_argv(folder: str, *, bare: bool = False) -> tuple[str, ...]:
    """Return the command that prints the root as a tar."""
    leave_out = (f"--exclude={pattern}" for pattern in (*_LEFT_OUT, *(_NOT_BARE if bare else ())))
    return ("tar", "--create", "--sort=name", "--numeric-owner", "--directory", folder, *leave_out, ".")


class DebootstrapRoot:
    """Runs debootstrap as root, or through sudo."""

    def make(self, spec: Debootstrap, apt_mirror: str | None) -> Iterator[bytes]:
        """Yield the tar of a new root. Raises UnfitError, TransferError or VerificationError."""
        as_root = _as_root(spec)
        folder = mkdtemp(prefix="kit-root-")
        try:
            _run((*as_root, *debootstrap_argv(spec, folder, apt_mirror)), spec)
            check_archive(spec, Path(folder))
            if (Path(folder) / "usr" / "bin" / "python3").is_symlink():
                keep = (data_folder("images") / "keep_bytecode.py").read_bytes()
                _run((*as_root, "chroot", folder, "python3", "-", "/usr/lib/python3"), spec, keep)
            with subprocess.Popen(
                (*as_root, *tar_argv(folder, bare=spec.bare)), stdout=subprocess.PIPE
            ) as tar:
                assert tar.stdout is not None  # noqa: S101
                while chunk := tar.stdout.read(_CHUNK_BYTES):
                    yield chunk
            if tar.returncode:
                raise TransferError("the new root cannot be read", where=folder)
        finally:
            subprocess.run((*as_root, "rm", "-rf", "--one-file-system", folder), check=False)


def check_archive(spec: Debootstrap, folder: Path) -> None:
    """Raise VerificationError unless a root was made out of the archive as kit.lock knows it."""
    if spec.archive is None:
        return
    files = sorted((folder / "var/lib/apt/lists").glob(f"*_dists_{spec.suite}_Release"))
    found = [release_digest(file.read_bytes()) for file in files]
    if found != [spec.archive]:
        raise VerificationError(
            f"Debian's {spec.suite} is not as it was locked",
            where=f"the root of {spec.reference}",
            why=f"locked {spec.archive}, the mirror has {', '.join(found) or 'none'}, a later point release",
            fix="kit lock; or set mirrors.apt in kit.yaml to https://snapshot.debian.org/archive/debian/DATE",
        )


def _as_root(spec: Debootstrap) -> tuple[str, ...]:
    where = f"the root of {spec.reference}"
    if not (shutil.which("debootstrap") or os.path.exists("/usr/sbin/debootstrap")):  # noqa: PTH110
        raise UnfitError(
            "debootstrap is not installed", where=where, fix="apt-get install debootstrap (Debian, Ubuntu)"
        )
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") and not subprocess.run(("sudo", "-n", "true"), check=False).returncode:
        return ("sudo", "-n")
    raise UnfitError(
        "root is needed to make a root file system",
        where=where,
        why="debootstrap makes device files and changes owners",
        fix="sudo kit bundle, or allow this user sudo without a password",
    )


def _run(argv: tuple[str, ...], spec: Debootstrap, stdin: bytes = b"") -> None:
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = done.stdout.decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
        raise TransferError(
            f"making it ends with status {done.returncode}",
            where=f"the root of {spec.reference}",
            why="\n" + "\n".join(last),
            fix="set mirrors.apt in kit.yaml to a Debian mirror within reach",
        )
