"""The whole intranet: up (adds and mends hosts), down (whatever is left of it, after a crash too), status."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.engine import engine_answers, start_engine, stop_engine, wait_for_engine
from tests.lab.errors import LabError
from tests.lab.links import ensure_link, ensure_switch, free_prefix, is_cut, remove_links, remove_netns
from tests.lab.names import CONTROL_GROUP, LAB, SWITCH, netns_of
from tests.lab.namespaces import (
    INIT,
    NAMED,
    boot,
    enter,
    file_system_of,
    init_of,
    kill_all,
    kill_all_in,
    processes_above,
    wait_for_boot,
)
from tests.lab.roots import engine_kind, ready_root
from tests.lab.shaping import shape_of
from tests.lab.shell import run, try_run, wait_until
from tests.lab.sink import NO_RESOLVER
from tests.lab.sshd import ensure_login_key, lay_out_logins, write_client_files
from tests.lab.state import Intranet, existing_intranet, locked, read_intranet, write_file, write_intranet

if TYPE_CHECKING:
    from tests.lab.state import Folders, LabHost

DEFAULT_ENGINE = "20.10"
GRACE_SECONDS = 5
"""How long an engine may take to end its containers when the lab goes down; then the power is cut."""


def up(folders: Folders, wanted: tuple[tuple[str, str], ...], disk: str = "") -> Intranet:
    """Start these (name, engine) hosts, or mend what of them does not run; return every host there is now."""
    with locked(folders.state / "lock"):
        intranet = _with_hosts(folders, wanted, disk)
        ensure_switch(intranet)
        login_key = ensure_login_key(folders)
        hosts = [intranet.host(name) for name, _ in wanted]
        asleep = [host for host in hosts if init_of(host.name) is None]
        for host in asleep:
            _lay_out(folders, intranet, host, login_key)
        for host in hosts:
            if ensure_link(intranet, host):
                (folders.host(host.name) / "link.json").unlink(missing_ok=True)
        for host in asleep:
            boot(folders, host, ready_root(folders, host.engine))
        for host in asleep:
            wait_for_boot(folders, host.name)
        for host in hosts:
            start_engine(folders, host)
        write_client_files(folders, intranet)
        _tell_names(intranet)
        for host in hosts:
            wait_for_engine(host.name)
    return intranet


def _with_hosts(folders: Folders, wanted: tuple[tuple[str, str], ...], disk: str) -> Intranet:
    intranet = read_intranet(folders) or Intranet(free_prefix())
    for name, engine in wanted:
        engine_kind(engine)
        if not name.isalnum() or len(name) > 12:
            raise LabError(f"{name!r} cannot name a host: letters and digits only, at most 12")
        known = {host.name: host for host in intranet.hosts}.get(name)
        if known and init_of(name) is not None and (known.engine, known.disk) != (engine, disk or known.disk):
            raise LabError(f"{name} runs, with engine {known.engine}: `down` first, then it can be another")
        intranet = intranet.with_host(name, engine, disk or (known.disk if known else ""))
    write_intranet(folders, intranet)
    return intranet


def _names(intranet: Intranet) -> str:
    """Return /etc/hosts. Own names lead to the intranet's address: on 127.0.0.1 no two hosts ever meet."""
    lines = [f"{intranet.address(host.name)} {host.name}" for host in intranet.hosts]
    return "\n".join(("127.0.0.1 localhost", "::1 localhost", *lines)) + "\n"


def _lay_out(folders: Folders, intranet: Intranet, host: LabHost, login_key: str) -> None:
    """Write what is the host's own into the top of its file system, before it starts."""
    kill_all_in(netns_of(host.name))
    root = ready_root(folders, host.engine)
    made_for = folders.host(host.name) / "root.txt"
    if made_for.exists() and made_for.read_text(encoding="utf-8") != root.name:
        # Another root below would not fit what the host has written on top, nor its engine's store.
        shutil.rmtree(made_for.parent)
    write_file(made_for, root.name)
    upper = folders.host(host.name) / "upper"
    write_file(upper / "etc/hosts", _names(intranet))
    write_file(upper / "etc/hostname", host.name + "\n")
    write_file(upper / "etc/resolv.conf", NO_RESOLVER)
    write_file(upper / "etc/lab-init", INIT, 0o755)
    lay_out_logins(folders, host.name, login_key)


def _tell_names(intranet: Intranet) -> None:
    """Let every running host know all others' names."""
    for host in intranet.hosts:
        if init_of(host.name) is not None:
            path = file_system_of(host.name) / "etc/hosts"
            path.write_text(_names(intranet), encoding="utf-8")


def down(folders: Folders, *, purge: bool = False) -> None:
    """Stop every host and remove every namespace, link and control group; purge forgets their data too."""
    with locked(folders.state / "lock"):
        intranet = read_intranet(folders)
        names = {host.name for host in intranet.hosts} if intranet else set()
        names |= {path.name.removeprefix(f"{LAB}-") for path in NAMED.glob(f"{LAB}-*")}
        with ThreadPoolExecutor() as each:
            list(each.map(stop_host, sorted(names)))
        kill_all_in(SWITCH)
        # Hosts whose named network namespace somebody removed.
        kill_all(lambda: processes_above(folders.state / "hosts"))
        remove_links(tuple(sorted(names)))
        _remove_control_groups()
    if purge:
        shutil.rmtree(folders.state, ignore_errors=True)


def down_hosts(folders: Folders, names: tuple[str, ...], *, purge: bool = False) -> None:
    """Stop these hosts alone; purge forgets them, else they keep their data and their addresses."""
    with locked(folders.state / "lock"):
        intranet = existing_intranet(folders)
        for name in names:
            intranet.host(name)
        for name in names:
            stop_host(name)
            remove_netns(netns_of(name))
            if purge:
                shutil.rmtree(folders.host(name), ignore_errors=True)
        if purge:
            folders.purged.touch()
            kept = tuple(host for host in intranet.hosts if host.name not in names)
            write_intranet(folders, Intranet(intranet.prefix, kept))


def stop_host(name: str) -> None:
    """Stop one host: its engine first, so that its store is whole, then everything else at once."""
    if init_of(name) is not None:
        with suppress(LabError):
            stop_engine(name, GRACE_SECONDS)
    kill_all_in(netns_of(name))


def _remove_control_groups() -> None:
    """Remove the lab's control groups; the last containers may still be dying in them."""
    top = Path("/sys/fs/cgroup")

    def gone() -> bool:
        groups = [*top.glob(f"*/{CONTROL_GROUP}"), *top.glob(CONTROL_GROUP)]
        for group in groups:
            below = [path for path in group.rglob("*") if path.is_dir()]
            for folder in [*sorted(below, key=lambda path: -len(path.parts)), group]:
                with suppress(OSError):
                    folder.rmdir()
        return not groups

    wait_until(gone, GRACE_SECONDS)


def status(folders: Folders) -> list[dict[str, str]]:
    """Return a row of facts for each host, as asked of the host itself."""
    intranet = read_intranet(folders)
    return [_row(folders, intranet, host) for host in intranet.hosts] if intranet else []


def _row(folders: Folders, intranet: Intranet, host: LabHost) -> dict[str, str]:
    row = {"host": host.name, "address": intranet.address(host.name), "kind": host.engine, "state": "down"}
    if init_of(host.name) is None:
        return row
    row["link"] = "cut" if is_cut(host) else str(shape_of(folders, host)) or "full"
    if not engine_answers(host.name):
        return {**row, "state": "no engine"}
    return {**row, "state": "up", **versions(host.name)}


def versions(name: str) -> dict[str, str]:
    """Return the versions that a running host's own programs tell."""
    engine = run(*enter(name, ("docker", "info", "--format", "{{.ServerVersion}} {{.Driver}}"))).split()
    new = ("docker", "compose", "version", "--short")
    old = ("docker-compose", "version", "--short")
    compose = run(*enter(name, new if try_run(*enter(name, new)) else old)).strip()
    return {"engine": engine[0], "store": engine[1], "compose": compose}
