"""The packages that the lab needs on the machine, by apt; asks apt only for what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabUnavailableError
from tests.lab.shell import run
from tests.lab.state import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEEDED: Mapping[str, str] = {
    "debootstrap": "debootstrap",
    "dockerd": "docker.io",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "iptables": "iptables",
    "jq": "jq",
    "mkfs.ext4": "e2fsprogs",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "skopeo": "skopeo",
    "ssh": "openssh-client",
    "busybox": "busybox-static",
}
"""Program and the package that brings it."""
BROWSERS = ("chromium", "google-chrome", "chromium-browser")
"""Any of them shows what a board looks like; Debian's is installed where there is none."""
KEYRINGS = Path("/usr/share/keyrings")
APT_LOCK = Path("/run/lock/kit-lab-apt.lock")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_SERVICES = Path("/usr/sbin/policy-rc.d")


def missing_packages() -> tuple[str, ...]:
    """Return the packages that are not there, sorted."""
    found = {package for program, package in NEEDED.items() if not shutil.which(program, path=SYSTEM_PATH)}
    if not any(shutil.which(program, path=SYSTEM_PATH) for program in BROWSERS):
        found.add("chromium")
    if not any(KEYRINGS.glob("debian-archive-keyring.*")):
        found.add("debian-archive-keyring")
    return tuple(sorted(found))


def install_packages() -> tuple[str, ...]:
    """Install what is missing; return it. Raises LabUnavailableError where there is no apt."""
    if not missing_packages():
        return ()
    if not shutil.which("apt-get"):
        wanted = ", ".join(missing_packages())
        raise LabUnavailableError(f"there is no apt-get here; the lab lacks: {wanted}")
    with locked(APT_LOCK):
        missing = missing_packages()
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        print(f"lab: installing {' '.join(missing)}", file=sys.stderr, flush=True)
        run("apt-get", "update", "-q", env=env)
        with _services_not_started():
            wait = ("-o", "DPkg::Lock::Timeout=600")
            run("apt-get", "install", "-q", "-y", "--no-install-recommends", *wait, *missing, env=env)
    return missing


@contextmanager
def _services_not_started() -> Iterator[None]:
    """Keep new packages from starting services: the lab runs its own, the machine asked for none."""
    if NO_SERVICES.exists():
        yield
        return
    NO_SERVICES.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    NO_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        NO_SERVICES.unlink(missing_ok=True)
