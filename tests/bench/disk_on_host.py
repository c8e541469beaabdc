"""How much disk a host uses, watched while something is loaded there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.host_shell import HostShell, host_shell

PAUSE = 0.05
_USED = "du -skxc /aisys /var/lib/docker /var/lib/containerd /tmp 2>/dev/null | tail -n 1 | cut -f 1"


@dataclass
class Peak:
    """What was seen, in bytes."""

    before: int = 0
    most: int = 0
    stays: int = 0
    """What was added when it had ended."""
    looks: int = 0

    @property
    def extra(self) -> int:
        """What the worst moment took beyond what stays."""
        return max(0, self.most - self.stays)


def _used(shell: HostShell) -> int:
    return int(shell.say(_USED)) * 1024


@contextmanager
def peak_disk_on(host: str) -> Iterator[Peak]:
    """Watch a host's data folders, as often as they can be gone through; linked files count once."""
    peak, ended = Peak(), threading.Event()
    with host_shell(host) as shell:
        peak.before = _used(shell)

        def watch() -> None:
            while not ended.wait(PAUSE):
                peak.most = max(peak.most, _used(shell) - peak.before)
                peak.looks += 1

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield peak
        finally:
            ended.set()
            watcher.join()
        peak.stays = _used(shell) - peak.before
