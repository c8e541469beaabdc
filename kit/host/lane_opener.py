"""Opening lanes to a host over SSH: OpenSSH where it gets through, else paramiko, and never none at all.

fabric's control connection decides trust and stays the only judge: ssh is given the keys that it verified.
The first lane is opened alone, the others a few at a time: sshd counts connections that have not logged in
yet (MaxStartups, 10 unless told otherwise).
"""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from kit.errors import UnreachableError
from kit.host.ciphers import aes_here, lane_ciphers
from kit.host.held_folder import HeldFolder
from kit.host.lane_refusal import Refusal, pauses, refusal_of
from kit.host.openssh_here import find_openssh
from kit.host.openssh_words import LaneRoute, known_text, ssh_words
from kit.host.pipe_lane import PipeLane
from kit.host.port import ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kit.host.openssh_here import OpensshHere
    from kit.host.port import Argv, Lane
    from kit.host.ssh_way import Hop

GREETING = "kit-lane-1"
"""Said by the host when the command starts; what a login shell prints before it is passed over."""
AT_A_TIME = 3
"""Logins under way at once."""
CLOSING = 5
"""Seconds that lanes get that are being opened when nobody wants them any more."""
LOGIN_TIMEOUT = 30
"""Seconds from an ssh's start to the greeting."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How the control connection reached the host."""

    hops: tuple[Hop, ...]
    identity: Path | None
    ssh_config: Path | None
    own_proxy: bool
    """The first hop is reached by the user's ProxyCommand."""
    own_ciphers: bool
    """The user's configuration names ciphers for this host."""
    connect_timeout: int
    """Seconds."""
    keepalive: int


class Paramiko(Protocol):
    """The other way to the same host."""

    def separate_lane(self, argv: Argv) -> Lane:
        """Start a command over a connection of its own. Raises UnreachableError."""

    def shared_lane(self, argv: Argv) -> Lane:
        """Start a command over the control connection. Raises UnreachableError."""


class LaneOpener:
    """Opens the lanes of one host."""

    def __init__(
        self,
        host: str,
        reached: Callable[[], Reached],
        paramiko: Paramiko,
        find: Callable[[], OpensshHere | None] = find_openssh,
        start: Callable[[Argv, str, dict[str, str]], PipeLane] = PipeLane,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._reached = reached
        self._paramiko = paramiko
        self._find = find
        self._start = start
        self._sleep = sleep
        self._first = threading.Lock()
        self._few = threading.BoundedSemaphore(AT_A_TIME)
        self._folder: HeldFolder | None = None
        self._lanes: WeakSet[Lane] = WeakSet()
        self._opened = 0
        self._useless = ""
        self._noted = False
        self._idle = threading.Condition()
        self._opening = 0
        self._closed = False

    def open(self, argv: Argv, *, aes_there: bool, note: Callable[[str], None] = ignore) -> Lane:
        """Start a command over a connection of its own.

        `note` hears, once, why it is not OpenSSH that carries the data.
        Raises UnreachableError when the host is gone, or takes no more connections beside those it has.
        """
        with self._few if self._opened else self._first, self._counted():
            lane = self._by_openssh(argv, aes_there=aes_there)
            if lane is None:
                self._tell(note)
                lane = self._by_paramiko(argv)
            self._lanes.add(lane)
            self._opened += 1
            if self._closed:
                lane.abort()
                raise self._over()
            return lane

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Let `close` know of a lane that is being opened."""
        with self._idle:
            if self._closed:
                raise self._over()
            self._opening += 1
        try:
            yield
        finally:
            with self._idle:
                self._opening -= 1
                self._idle.notify_all()

    def _over(self) -> UnreachableError:
        return UnreachableError(
            "the connection was closed", where=self._host, fix="run the same command again"
        )

    def close(self) -> None:
        """End the lanes that are open, and wait for those that are being opened.

        A thread still busy with keys when the process ends would abort it.
        """
        with self._idle:
            self._closed = True
        for lane in tuple(self._lanes):
            lane.abort()
        with self._idle:
            self._idle.wait_for(lambda: not self._opening, CLOSING)
        if self._folder is not None:
            self._folder.remove()

    def _by_openssh(self, argv: Argv, *, aes_there: bool) -> Lane | None:
        if any(hop.typed for hop in self._reached().hops):
            self._useless = "ssh cannot be given what was typed for the login"
        ssh = None if self._useless else self._find()
        if ssh is None:
            self._useless = self._useless or "this machine has no OpenSSH of 7.6 or later"
            return None
        greeted = ("sh", "-c", 'echo "$0"; exec "$@"', GREETING, *argv)
        words = (ssh.path, *ssh_words(self._route(ssh, aes_there=aes_there), greeted)[1:])
        found = self._patiently(lambda: self._login(words))
        if not isinstance(found, str):
            return found
        if self._opened:
            raise self._no_more(found)
        if refusal_of(found) is Refusal.LOGIN:
            self._useless = "ssh did not get through: " + (found.splitlines() or ["no word"])[-1][:200]
        return None

    def _login(self, words: Argv) -> Lane | str:
        """Return a lane, or what ssh said in place of one."""
        lane = self._start(words, self._host, _environment())
        self._lanes.add(lane)
        if lane.await_line(GREETING.encode(), LOGIN_TIMEOUT):
            return lane
        lane.abort()
        return lane.errors

    def _tell(self, note: Callable[[str], None]) -> None:
        if not self._noted:
            self._noted = True
            why = self._useless or Refusal.BUSY.value
            note(f"{self._host}: data goes by paramiko, which is slower ({why})")

    def _by_paramiko(self, argv: Argv) -> Lane:
        found = self._patiently(lambda: self._separate(argv))
        if not isinstance(found, str):
            return found
        if self._opened:
            raise self._no_more(found)
        # The one connection that there is carries everything.
        return self._paramiko.shared_lane(argv)

    def _separate(self, argv: Argv) -> Lane | str:
        try:
            return self._paramiko.separate_lane(argv)
        except UnreachableError as error:
            return error.why or error.what

    def _patiently(self, attempt: Callable[[], Lane | str]) -> Lane | str:
        """Try until there is a lane, or words that do not mean a busy host, or often enough."""
        for pause in pauses(random.random()):  # noqa: S311 - spreads tries, keeps no secret
            found = attempt()
            if not isinstance(found, str) or refusal_of(found) is not Refusal.BUSY:
                return found
            self._sleep(pause)
        return attempt()

    def _no_more(self, why: str) -> UnreachableError:
        fix = "see MaxStartups in its sshd_config; what arrived is kept"
        return UnreachableError(refusal_of(why).value, where=self._host, why=why[-200:], fix=fix)

    def _route(self, ssh: OpensshHere, *, aes_there: bool) -> LaneRoute:
        reached = self._reached()
        best = lane_ciphers(ssh.ciphers, aes_here=aes_here(), aes_there=aes_there)
        return LaneRoute(
            hops=reached.hops,
            known_hosts=self._known_hosts(reached.hops),
            ssh_config=reached.ssh_config,
            identity=reached.identity,
            own_proxy=reached.own_proxy,
            version=ssh.version,
            ciphers=() if reached.own_ciphers else best,
            connect_timeout=reached.connect_timeout,
            keepalive=reached.keepalive,
        )

    def _known_hosts(self, hops: tuple[Hop, ...]) -> Path:
        if self._folder is None:
            # 0700: nobody else can put another key there.
            self._folder = HeldFolder("kit-known-")
        path = self._folder.path / "known_hosts"
        if not path.exists():
            path.write_text(known_text(hops), encoding="ascii")
        return path


def _environment() -> dict[str, str]:
    """Return what ssh is given; what is meant for kit alone it need not see."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KIT_")}
