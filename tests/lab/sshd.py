"""Keys and names: a login key for the lab, a host key for each host, the files by which ssh knows them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.lab.shell import run
from tests.lab.state import write_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.state import Folders, Intranet

USERS = {"root": ("root", 0), "ops": ("home/ops", 1000)}


def ensure_login_key(folders: Folders) -> str:
    """Make the lab's login key once; return its public line. Who called sudo owns it."""
    if not folders.key.exists():
        folders.state.mkdir(parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(folders.key))
    owner = int(os.environ.get("SUDO_UID") or 0)
    if owner:
        os.chown(folders.key, owner, -1)
    return folders.key.with_suffix(".pub").read_text(encoding="utf-8")


def lay_out_logins(folders: Folders, name: str, login_key: str) -> None:
    """Write a host's own key and who may log in, below the host's file system while it does not run."""
    upper = folders.host(name) / "upper"
    host_key = upper / "etc/ssh/ssh_host_ed25519_key"
    if not host_key.exists():
        host_key.parent.mkdir(parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(host_key))
    for home, uid in USERS.values():
        _authorize(upper / home, uid, login_key)


def _authorize(home: Path, uid: int, login_key: str) -> None:
    made = not home.exists()
    folder = home / ".ssh"
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "authorized_keys", login_key, 0o600)
    folder.chmod(0o700)
    if made:
        home.chmod(0o700)
    for path in (home, folder, folder / "authorized_keys"):
        shutil.chown(path, uid, uid)


def host_key_line(folders: Folders, name: str) -> str:
    """Return a host's public key: its type and its base64."""
    path = folders.host(name) / "upper/etc/ssh/ssh_host_ed25519_key.pub"
    return " ".join(path.read_text(encoding="utf-8").split()[:2])


def write_client_files(folders: Folders, intranet: Intranet) -> None:
    """Write known_hosts and ssh_config for everybody on this machine."""
    known = [
        f"{host.name},{intranet.address(host.name)} {host_key_line(folders, host.name)}\n"
        for host in intranet.hosts
    ]
    write_file(folders.known_hosts, "".join(known))
    blocks = [
        f"Host {host.name} {intranet.address(host.name)}\n"
        f"    HostName {intranet.address(host.name)}\n"
        f"    HostKeyAlias {host.name}\n"
        for host in intranet.hosts
    ]
    every = (
        "Host *\n"
        "    User root\n"
        f"    IdentityFile {folders.key}\n"
        "    IdentitiesOnly yes\n"
        f"    UserKnownHostsFile {folders.known_hosts}\n"
        "    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n"
    )
    write_file(folders.ssh_config, "".join(blocks) + every)
