"""Which processes die when a shipment is struck. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

SENDERS = ("kit and its ssh", "kit alone")
ON_HOST = ("agent", "lane", "one ssh session", "every ssh session", "sshd and its sessions", "engine")
EVERYTHING = "every process of the host"
"""As when its power goes; who looks at it, and what holds its namespaces, lives on."""
KILLS = (*SENDERS, *ON_HOST)
"""Whom `kill -9` hits, as the table says it."""
PARTY = {
    **dict.fromkeys(SENDERS, "sender"),
    **dict.fromkeys(("agent", "lane"), "receiver"),
    **dict.fromkeys(("one ssh session", "every ssh session", "sshd and its sessions"), "sshd"),
    "engine": "engine",
}
INSTEAD = {
    "lane": "agent",
    "agent": "every ssh session",
    "one ssh session": "sshd and its sessions",
    "every ssh session": "sshd and its sessions",
    "sshd and its sessions": "engine",
}
"""Who is struck where there is nobody of the wanted kind: no lane runs while layers are loaded."""


@dataclass(frozen=True)
class Process:
    """A line of `ps -eo pid,ppid,args` on a host."""

    pid: int
    parent: int
    words: str


def processes(listing: str) -> tuple[Process, ...]:
    """Return what ps listed, its head left out."""
    rows = (line.split(None, 2) for line in listing.splitlines())
    return tuple(
        Process(int(row[0]), int(row[1]), row[2]) for row in rows if len(row) == 3 and row[0].isdigit()
    )


def _is_agent(process: Process) -> bool:
    return " agent " in process.words and not process.words.startswith(("docker", "sudo", "sh ", "bash "))


def _is_lane(process: Process) -> bool:
    if process.words.startswith("dd "):
        return "of=" in process.words
    return process.words.startswith(("sh ", "dash ", "bash ")) and " dd " in process.words


def _is_sshd(process: Process) -> bool:
    # OpenSSH has programs of their own for logins and sessions from 9.8 on.
    return process.words.startswith(("sshd: ", "sshd-session: ", "sshd-auth: "))


def _is_session(process: Process) -> bool:
    return _is_sshd(process) and "[listener]" not in process.words


def _is_engine(process: Process) -> bool:
    return process.words.split(" ")[0].rpartition("/")[2] in {"dockerd", "containerd"}


def _is_the_hosts(process: Process) -> bool:
    lasting = process.pid == 1 or process.words.split(" ")[0] in {"sh", "sleep", "ps", "[sh]"}
    return not lasting or _is_lane(process)


_IS_ONE = {
    "agent": _is_agent,
    "lane": _is_lane,
    "engine": _is_engine,
    "sshd and its sessions": _is_sshd,
    EVERYTHING: _is_the_hosts,
}


def victims(kind: str, found: Iterable[Process], chance: random.Random) -> tuple[int, ...]:
    """Return the process numbers, on the host, of those to kill; none where there is no such process.

    Of agents and lanes one dies, chosen at random, as of the sessions when one is asked for: one that
    came over a connection of its own, with all that sshd made for it.
    """
    chosen = [process for process in found if _IS_ONE.get(kind, _is_session)(process)]
    if kind in {"agent", "lane"} and chosen:
        return (chance.choice(chosen).pid,)
    if kind == "one ssh session" and chosen:
        pids = {process.pid for process in chosen}
        first = chance.choice([process for process in chosen if process.parent not in pids])
        return tuple(process.pid for process in chosen if first.pid in {process.pid, process.parent})
    return tuple(process.pid for process in chosen)
