"""Doing harm to a shipment, and mending what a shipment cannot mend itself."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from tests.bench.kill_host import KillHost
from tests.bench.kill_plan import CUT, FLIPPED, FROZEN, FULL, LONG_CUT
from tests.bench.kill_victims import EVERYTHING, INSTEAD, ON_HOST, processes, victims
from tests.bench.running_ship import RunningShip
from tests.e2e.ship_stage import ROOT

LEFT_MEGABYTES = 5
"""Free on the disk that is called full."""
_STOPPED_FOR = {CUT: 5.0, LONG_CUT: 70.0}


@dataclass(frozen=True)
class Harm:
    """One kind of harm to one host's shipment."""

    kind: str
    host: KillHost
    chance: random.Random
    rate: str
    """Of the host's link, to which it returns."""

    def strike(self, ship: RunningShip) -> str:
        """Do it; return what was done in the end, since a victim may not be there."""
        if self.kind in _STOPPED_FOR:
            self.host.lab.cut(self.host.name)
        elif self.kind == FULL:
            self.host.lab.fill(self.host.name, LEFT_MEGABYTES)
        elif self.kind == FROZEN:
            self.host.shell.ask(f"kill -STOP {self._pids('agent')}")
        elif self.kind in {*ON_HOST, EVERYTHING}:
            return self._kill_on_host(self.kind)
        else:
            ship.kill(whole_group=self.kind != "kit alone")
        return self.kind

    def _pids(self, kind: str) -> str:
        found = processes(self.host.shell.say("ps -eo pid,ppid,args"))
        return " ".join(map(str, victims(kind, found, self.chance)))

    def _kill_on_host(self, kind: str) -> str:
        pids = self._pids(kind)
        if not pids:
            return self._kill_on_host(INSTEAD[kind])
        self.host.shell.ask(f"kill -9 {pids}")
        return kind

    def mend(self, struck: str, ship: RunningShip) -> None:
        """Undo what outlasts a shipment: an engine or sshd that is gone, a link, a full disk.

        A link comes back while the shipment may still hope for it; all else after it has ended.
        """
        if struck in _STOPPED_FOR:
            time.sleep(_STOPPED_FOR[struck])
            self.host.lab.slow(self.host.name, rate=self.rate)
            return
        if struck in {"engine", EVERYTHING}:
            self._start_engine()
        if struck in {"sshd and its sessions", EVERYTHING}:
            time.sleep(self.chance.uniform(0, 3))
            self.host.shell.say("/usr/sbin/sshd -E /var/log/sshd.log")
        elif struck == "kit alone":
            time.sleep(self.chance.uniform(0, 3))  # what it started lives on for a while
        elif struck == FULL:
            ship.end(180)
            self.host.lab.empty(self.host.name)
        elif struck == FROZEN:
            ship.end(180)
            self.host.shell.ask(f"kill -CONT {self._pids('agent')}")
        elif struck == FLIPPED:
            self._flip()

    def _start_engine(self) -> None:
        time.sleep(self.chance.uniform(0, 3))
        # A containerd that outlived its dockerd would keep the new one's from starting.
        if left := self._pids("engine"):
            self.host.shell.ask(f"kill -9 {left}")
        self.host.lab.engine_start(self.host.name)

    def _flip(self) -> None:
        """Turn one bit of what has come so far of a blob, where something has."""
        listed = self.host.shell.ask(f"cd {ROOT}/partial && stat -c '%s %n' *").text.splitlines()
        rows = [line.split() for line in listed]
        grown = [
            (int(row[0]), row[1])
            for row in rows
            if len(row) == 2 and len(row[1].rpartition(".")[2]) == 64 and row[0] != "0"
        ]
        for size, name in self.chance.choices(grown, [size for size, _ in grown], k=20) if grown else ():
            place = self.chance.randrange(size)
            byte = self.host.shell.say(f"od -An -tu1 -j {place} -N 1 {ROOT}/partial/{name}").strip()
            if byte != "0":  # blobs are noise: a zero is most likely in a hole, where nothing has come yet
                new = int(byte) ^ (1 << self.chance.randrange(8))
                write = f"dd of={ROOT}/partial/{name} bs=1 seek={place} conv=notrunc 2>/dev/null"
                self.host.shell.say(f"printf '\\{new:03o}' | {write}")
                return
