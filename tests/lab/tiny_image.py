"""An image of 2 MB for tests that need any container at all."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.packages import SYSTEM_PATH


def busybox_program() -> bytes:
    """Return this machine's static busybox; raises LabError where there is none."""
    busybox = shutil.which("busybox", path=SYSTEM_PATH)
    if not busybox:
        raise LabError("busybox is not installed; python3 -m tests.lab setup installs it")
    return Path(busybox).read_bytes()


def tiny_image() -> bytes:
    """Return a tar for `docker import`: a static busybox, and links for the libraries of a mounted /usr."""
    content = busybox_program()
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        program = tarfile.TarInfo("bin/busybox")
        program.mode, program.size = 0o755, len(content)
        tar.addfile(program, io.BytesIO(content))
        for name, target in (("bin/sh", "busybox"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return written.getvalue()
