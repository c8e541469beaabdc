"""The root folder of a host for each engine version: debootstrapped once, kept, never changed while in use.

A host sees an overlay over this folder and nothing of the machine's own files. None of them has a Python
that could be called: trixie and sid have none at all (compose v2 is one Go program). Bookworm's
docker-compose 1.29 is a Python program, and a host of that age really has it as one frozen binary; the
same is made here by moving the interpreter out of PATH, into docker-compose's own folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.shell import run, try_run
from tests.lab.state import locked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.lab.state import Folders

PACKAGES = (
    "ca-certificates",
    "containerd",
    "curl",
    "docker-compose",
    "docker.io",
    "iproute2",
    "iptables",
    "openssh-server",
    "procps",
)


@dataclass(frozen=True, slots=True)
class EngineKind:
    """Where an engine version comes from and how its daemon is set."""

    suite: str
    packages: tuple[str, ...] = ()
    containerd_store: bool = False


ENGINES: Mapping[str, EngineKind] = {
    "20.10": EngineKind("bookworm", ("sudo",)),
    "26.1": EngineKind("trixie", ("docker-cli",)),
    "28.5": EngineKind("sid", ("docker-cli",), containerd_store=True),
}
"""Engine names are what the suites had when this was written; `status` tells what runs now (sid moves)."""

HIDE_PYTHON = """set -eu
test -x /usr/bin/python3 || exit 0
private=/usr/libexec/docker-compose
mkdir -p $private
real=$(readlink -f /usr/bin/python3)
mv "$real" $private/docker-compose-runtime
mv /usr/bin/docker-compose $private/docker-compose.script
rm -f /usr/bin/python3* /usr/bin/python-dotenv /usr/bin/pydoc* /usr/bin/py3*
printf '#!/bin/sh\\nexec %s %s "$@"\\n' $private/docker-compose-runtime $private/docker-compose.script \
    > /usr/bin/docker-compose
chmod 755 /usr/bin/docker-compose
"""

FINISH = """set -eu
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /etc/ssh/ssh_host_* /usr/share/doc /usr/share/man
useradd --create-home --shell /bin/bash --groups docker ops
usermod -p '*' ops
usermod -p '*' root
printf 'UsePAM no\\nUseDNS no\\nPasswordAuthentication no\\nHostKey /etc/ssh/ssh_host_ed25519_key\\n' \
    > /etc/ssh/sshd_config.d/lab.conf
mkdir -p /aisys /var/lib/docker /var/lib/containerd /etc/docker
"""


def root_folder(folders: Folders, engine: str) -> Path:
    """Return where the root folder of an engine kind is, ready or not; its name changes with its recipe."""
    kind = engine_kind(engine)
    recipe = hashlib.sha256(repr((kind.packages, PACKAGES, HIDE_PYTHON, FINISH)).encode()).hexdigest()[:8]
    return folders.cache / f"{engine}-{kind.suite}-{recipe}"


def engine_kind(engine: str) -> EngineKind:
    """Return the kind; raises LabError for a name that is not one of ENGINES."""
    if engine not in ENGINES:
        raise LabError(f"no engine {engine!r}; there are {', '.join(ENGINES)}")
    return ENGINES[engine]


def ready_root(folders: Folders, engine: str) -> Path:
    """Return the root folder of an engine kind, building it first where needed (minutes, once)."""
    root = root_folder(folders, engine)
    if root.exists():
        return root
    folders.cache.mkdir(parents=True, exist_ok=True)
    with locked(folders.cache / "lock"):
        if not root.exists():
            _build(engine_kind(engine), root)
    return root


def _build(kind: EngineKind, root: Path) -> None:
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    print(f"lab: making a Debian {kind.suite} root in {root} (once; minutes)", file=sys.stderr, flush=True)
    include = ",".join((*PACKAGES, *kind.packages))
    # In a mount namespace of its own: a killed debootstrap leaves no mounts in a folder to be removed.
    own = ("unshare", "--mount", "--propagation", "private")
    words = [*own, "debootstrap", "--variant=minbase", f"--include={include}", kind.suite, str(partial)]
    mirror = debian_mirror()
    run(*words, *([mirror] if mirror else []), env=_download_environment())
    for script in (HIDE_PYTHON, FINISH):
        run("chroot", str(partial), "/bin/sh", "-c", script, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    partial.rename(root)


def debian_mirror() -> str:
    """Return the Debian mirror that KIT_LAB_MIRROR or apt's sources name, or "" for debootstrap's own."""
    named = os.environ.get("KIT_LAB_MIRROR", "")
    sources = Path("/etc/apt")
    files = [*sources.glob("sources.list"), *sources.glob("sources.list.d/*")]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    found = re.search(r"^(?:deb\s.*?|URIs:\s*)(https?://\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
    return named or (found.group(1) if found else "")


def _download_environment() -> dict[str, str]:
    """Return the environment for debootstrap, with the proxy that apt is set to use."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if try_run("apt-config", "shell"):
        found = re.search(r'Acquire::http::Proxy "(.+?)";', run("apt-config", "dump"))
        if found:
            env.setdefault("http_proxy", found.group(1))
    return env
