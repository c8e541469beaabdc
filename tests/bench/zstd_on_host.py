"""zstd on a lab host, for the way without kit alone: hosts have none of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.lab import Lab
from tests.lab.errors import LabError

_PLACE = "/opt/bench-zstd"
_PROGRAM = "/usr/local/bin/zstd"


def ensure_zstd(lab: Lab, host: str) -> None:
    """Put this machine's zstd on a host, with its own libraries and loader; raises LabError without one."""
    if lab.run(host, ("sh", "-c", "command -v zstd")).returncode == 0:
        return
    zstd = shutil.which("zstd")
    if zstd is None:
        raise LabError("zstd is not installed; the way without kit needs it: apt-get install zstd")
    listed = subprocess.run(("ldd", zstd), check=True, capture_output=True, text=True).stdout
    libraries = sorted(set(re.findall(r"/\S+\.so[.0-9]*", listed)))
    loader = next(path for path in libraries if "/ld-" in path)
    for path in (zstd, *libraries):
        lab.put(host, f"{_PLACE}/{Path(path).name}", Path(path).read_bytes(), "0755")
    words = f"{_PLACE}/{Path(loader).name} --library-path {_PLACE} {_PLACE}/{Path(zstd).name}"
    lab.put(host, _PROGRAM, f'#!/bin/sh\nexec {words} "$@"\n'.encode(), "0755")
